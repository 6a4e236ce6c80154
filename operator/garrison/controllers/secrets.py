"""RotatingSecret: mint for every holder, supersede once all have acknowledged, revoke, and prove it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from garrison.api.lease import Lease
from garrison.api.meta import (
    FINALIZER,
    LEASE,
    ROTATING,
    WORKLOAD,
    Condition,
    ConditionStatus,
    Key,
    Kind,
    Raw,
    set_condition,
)
from garrison.api.parsing import dump
from garrison.api.secret import (
    STATUS_ADAPTER,
    CredentialSource,
    CredentialStatus,
    RotatingSecret,
    RotatingSecretStatus,
    parse_rotating_secret,
)
from garrison.api.workload import Workload
from garrison.controllers.catalog import Catalog
from garrison.controllers.finalizer import Finalizer, Hold, Release
from garrison.controllers.triggers import beside
from garrison.core.rotation import (
    MAX_CREDENTIALS,
    Holder,
    Mint,
    Revoke,
    RotationStep,
    RotationView,
    Slot,
    acknowledged,
    counted,
    entitled,
    is_revoked,
    may_hold,
    newest,
    settle,
    slot_of,
    step,
    uses,
)
from garrison.errors import AuthError, ConflictError, GarrisonError, RejectedError
from garrison.ports.clock import Clock
from garrison.ports.credentials import Credential, CredentialAsk, Issuer
from garrison.ports.kube import Kube, Note
from garrison.runtime.cache import Cache
from garrison.runtime.controller import Outcome, Plan, Trigger, Verdict

SecretAction = Hold | Release | Mint | Revoke


class SecretController:
    """Reconciles one RotatingSecret."""

    def __init__(
        self, *, cache: Cache, catalog: Catalog, kube: Kube, clock: Clock, issuer: Issuer
    ) -> None:
        self._cache = cache
        self._catalog = catalog
        self._kube = kube
        self._clock = clock
        self._issuer = issuer
        self._finalizer = Finalizer(kube=kube, cache=cache, kind=ROTATING)
        self._steps: dict[str, RotationStep] = {}
        self._failed: dict[Key, dict[Slot, datetime]] = {}

    @property
    def kind(self) -> Kind:
        return ROTATING

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        found = beside(self._cache, ROTATING)
        return {WORKLOAD.kind: found, LEASE.kind: found}

    async def observe(self, raw: Raw) -> RotationView:
        """Read who may hold a credential, and what a SecretRef holds now."""
        secret = self._catalog.rotating_secrets.of(raw)
        workloads = self._users(secret)
        leases = {
            each.meta.uid: tuple(self._catalog.leases_of(each).values()) for each in workloads
        }
        digest, problem = await self._digest(secret) if workloads else ("", "")
        return RotationView(
            secret=secret,
            now=self._clock.now(),
            holders=entitled(secret, workloads, leases),
            digest=digest,
            problem=problem,
            in_use=bool(workloads),
            failed=dict(self._failed.get(_key(secret), {})),
        )

    def _users(self, secret: RotatingSecret) -> list[Workload]:
        return [
            each
            for each in self._catalog.all_workloads()
            if each.meta.namespace == secret.meta.namespace and self._refers(each, secret.meta.name)
        ]

    def _refers(self, workload: Workload, name: str) -> bool:
        """A revision that still runs may use what the spec no longer names."""
        if uses(workload, name):
            return True
        leases = self._catalog.leases_of(workload).values()
        return any(record.name == name for each in leases for record in each.status.secrets)

    async def _digest(self, secret: RotatingSecret) -> tuple[str, str]:
        """The digest of what a SecretRef holds, else the last one, and what a person must do."""
        if secret.spec.source.type != "SecretRef":
            return "", ""
        try:
            return await self._issuer.digest(_of_source(secret)), ""
        except (AuthError, RejectedError) as error:
            return secret.status.digest, str(error)
        except GarrisonError:
            return secret.status.digest, ""

    def plan(self, observed: RotationView, now: datetime) -> Plan[SecretAction]:
        """Return the one action of this step."""
        del now
        meta = observed.secret.meta
        if FINALIZER not in meta.finalizers:
            return Plan(actions=() if meta.deleting else (Hold(),), requeue_after=0.0)
        if meta.deleting and not observed.in_use and not observed.secret.status.credentials:
            return Plan(actions=(Release(),))
        taken = step(observed)
        self._steps[meta.uid] = taken
        actions = (taken.action,) if taken.action is not None else ()
        return Plan(actions=actions, requeue_after=taken.requeue)

    async def act(self, action: SecretAction, observed: RotationView) -> None:
        """Perform one action; what a stale cache might have decided wrongly is read afresh."""
        secret = observed.secret
        match action:
            case Hold():
                await self._finalizer.add(secret.meta)
            case Release():
                await self._finalizer.remove(secret.meta)
            case Mint(credential=credential):
                await self._must_hold(secret, credential)
                await self._must_be_asked(secret, credential)
                await self._issuer.mint(ask_for(secret, credential))
            case Revoke(credential=credential):
                holder = observed.holders.get(credential.holder)
                if holder is not None and credential.minted_at is not None:
                    await self._must_be_replaced(secret, credential, holder)
                await self._issuer.revoke(ask_for(secret, credential))
            case _:
                assert_never(action)

    async def _must_hold(self, secret: RotatingSecret, credential: CredentialStatus) -> None:
        """Nothing is minted for a lease that has ended meanwhile."""
        if secret.spec.scope != "Lease":
            return
        raw = await self._kube.get(LEASE, credential.namespace, credential.name)
        lease = self._catalog.leases.valid(raw) if raw is not None else None
        if lease is None or lease.meta.uid != credential.holder or not may_hold(lease):
            raise ConflictError(f"lease {credential.name} has ended; nothing is minted for it")

    async def _must_be_asked(self, secret: RotatingSecret, credential: CredentialStatus) -> None:
        """Nothing is minted that another operator has revoked meanwhile."""
        raw = await self._kube.get(ROTATING, secret.meta.namespace, secret.meta.name)
        fresh = parse_rotating_secret(raw).status.credentials if raw is not None else ()
        if credential not in fresh:
            raise ConflictError(f"version {credential.version} is not asked for any more")

    async def _must_be_replaced(
        self, secret: RotatingSecret, credential: CredentialStatus, holder: Holder
    ) -> None:
        """No replica is left with a dead secret: an offer is on record before a value is sent."""
        fresh = [await self._fresh(each) for each in holder.leases]
        leases = [each for each in fresh if each is not None and may_hold(each)]
        if not acknowledged(leases, secret.meta.name, credential.version + 1):
            raise ConflictError(
                f"a replica of {holder.name} still has version {credential.version} of "
                f"{secret.meta.name}; it is revoked once a newer one is acknowledged"
            )

    async def _fresh(self, lease: Lease) -> Lease | None:
        raw = await self._kube.get(LEASE, lease.meta.namespace, lease.meta.name)
        return self._catalog.leases.valid(raw) if raw is not None else None

    def conclude(
        self, observed: RotationView, outcomes: tuple[Outcome[SecretAction], ...], now: datetime
    ) -> Verdict:
        """Return the status with the outcome folded in."""
        del now
        taken = self._steps.pop(observed.secret.meta.uid, None)
        if taken is None or any(isinstance(each.action, Hold | Release) for each in outcomes):
            return Verdict(requeue_after=0.0)
        error = outcomes[0].error if outcomes else None
        self._remember(observed, taken, error)
        done = settle(observed, taken, error)
        status = counted(done.status, observed.secret.meta.generation)
        status = replace(status, conditions=_conditions(observed, status))
        return Verdict(
            status=dump(STATUS_ADAPTER, status),
            notes=_notes(observed.secret, status),
            requeue_after=done.requeue,
        )

    def _remember(
        self, observed: RotationView, taken: RotationStep, error: Exception | None
    ) -> None:
        """Keep what failed last and when, so that nothing that goes on failing holds up the rest."""
        failed = self._failed.setdefault(_key(observed.secret), {})
        if taken.action is not None:
            failed.pop(slot := slot_of(taken.action.credential), None)
            if error is not None:
                failed[slot] = observed.now

    def forget(self, key: Key) -> None:
        """Drop what was kept of a secret that is gone."""
        self._failed.pop(key, None)


def _key(secret: RotatingSecret) -> Key:
    return Key(kind=ROTATING.kind, namespace=secret.meta.namespace, name=secret.meta.name)


def _conditions(view: RotationView, status: RotatingSecretStatus) -> tuple[Condition, ...]:
    state, reason, message = _ready(view, status)
    new = Condition(
        type="Ready",
        status=state,
        reason=reason,
        message=message[:1024],
        observed_generation=view.secret.meta.generation,
        last_transition_time=view.now.replace(microsecond=0),
    )
    return set_condition(status.conditions, new)


def _ready(view: RotationView, status: RotatingSecretStatus) -> tuple[ConditionStatus, str, str]:
    if status.last_error or view.problem:
        return "False", "SourceFailed", status.last_error or view.problem
    if view.secret.meta.deleting and view.in_use:
        message = "a workload still uses it; remove it from spec.secrets there"
        return "False", "InUse", message
    waiting = [each for each in view.holders if newest(status, each) is None]
    if waiting and len(status.credentials) >= MAX_CREDENTIALS:
        message = (
            f"{len(waiting)} holders wait for a version: the most that one RotatingSecret keeps is "
            f"{MAX_CREDENTIALS}; use scope: Workload, or another RotatingSecret for some of them"
        )
        return "False", "TooManyHolders", message
    if waiting:
        return "False", "Minting", f"{len(waiting)} holders wait for their first version"
    return "True", "Current", f"version {status.version}; {status.revoked} versions revoked so far"


def _notes(secret: RotatingSecret, after: RotatingSecretStatus) -> tuple[Note, ...]:
    before = secret.status
    meta = secret.meta
    about = _key(secret)
    found = []
    if after.version != before.version and before.version:
        message = f"rotating to version {after.version}; the old one is revoked once all have it"
        found.append(
            Note(about=about, uid=meta.uid, type="Normal", reason="Rotating", message=message)
        )
    if after.last_error and after.last_error != before.last_error:
        found.append(
            Note(
                about=about,
                uid=meta.uid,
                type="Warning",
                reason="SourceFailed",
                message=after.last_error[:1000],
            )
        )
    return tuple(found)


def ask_for(secret: RotatingSecret, credential: CredentialStatus) -> CredentialAsk:
    """Return the ask of a credential: the same in every try, of the source that it was first asked of."""
    return CredentialAsk(
        secret=secret.meta.uid,
        namespace=secret.meta.namespace,
        name=secret.meta.name,
        holder=credential.holder,
        holder_name=credential.name,
        version=credential.version,
        source=credential.source.as_source(),
        scope=secret.spec.scope,
        every_seconds=secret.spec.rotation.every_seconds,
    )


def _of_source(secret: RotatingSecret) -> CredentialAsk:
    """The ask that is for nobody: about the source as it is now."""
    source = CredentialSource.of(secret.spec.source)
    return ask_for(secret, CredentialStatus(holder="", name="", version=0, source=source))


class Deliveries:
    """Values on their way to a replica: read at the last moment, only while they are live."""

    def __init__(self, *, catalog: Catalog, kube: Kube, issuer: Issuer) -> None:
        self._catalog = catalog
        self._kube = kube
        self._issuer = issuer

    async def value(self, lease: Lease, workload: Workload, name: str, version: int) -> Credential:
        """Return a live version's value. Raises ConflictError when it is not live any more."""
        namespace = lease.meta.namespace
        raw = await self._kube.get(ROTATING, namespace, name)
        secret = parse_rotating_secret(raw) if raw is not None else None
        if secret is not None:
            holder = lease.meta.uid if secret.spec.scope == "Lease" else workload.meta.uid
            for each in secret.status.credentials:
                if (each.holder, each.version, each.state) == (holder, version, "Live"):
                    found = await self._issuer.value(ask_for(secret, each))
                    if found is not None:
                        return found
        raise ConflictError(f"version {version} of secret {name} is not live; looking again")

    async def unrevoked(self, lease: Lease) -> tuple[str, ...]:
        """Return the RotatingSecrets that still have a credential of a lease, read afresh."""
        raws = await self._kube.list(ROTATING, namespace=lease.meta.namespace)
        found = [parse_rotating_secret(each) for each in raws]
        return tuple(
            each.meta.name for each in found if not is_revoked(each.status, lease.meta.uid)
        )
