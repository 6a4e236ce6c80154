"""Make before break: a version is minted, delivered, acknowledged everywhere, and only then is its
predecessor revoked.

One pass does one thing to one credential, and the status that names it was written in an earlier pass:
a credential is in the list before it may exist, and leaves the list only when it is revoked: where it was
asked for, whatever the spec names by then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from garrison.api.container import SecretUse
from garrison.api.lease import Lease
from garrison.api.meta import ANNOTATION_ROTATE
from garrison.api.secret import (
    CredentialSource,
    CredentialStatus,
    RotatingSecret,
    RotatingSecretStatus,
)
from garrison.api.workload import Workload

HOLDING = frozenset({"Enrolling", "Verifying", "Benchmarking", "Ready", "Draining"})
"""Phases in which a replica may hold a credential: none is minted before there is a container."""
MAX_CREDENTIALS = 200
ACKNOWLEDGE = timedelta(minutes=5)
"""How long a replica may take to acknowledge a version before it is replaced."""

Slot: TypeAlias = tuple[str, int]
"""A credential of a secret: its holder's uid, and its version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whom a credential is for. ``uid`` is the lease's or the workload's; ``leases`` hold it."""

    uid: str
    name: str
    namespace: str
    leases: tuple[Lease, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationView:
    """What a pass knows. ``holders`` are those that are entitled to a credential now."""

    secret: RotatingSecret
    now: datetime
    holders: Mapping[str, Holder]
    digest: str = ""
    """of what a SecretRef holds now; "" for other sources"""
    problem: str = ""
    """why a SecretRef holds nothing now: what is live stays live, and nothing new can come"""
    in_use: bool = False
    failed: Mapping[Slot, datetime] = field(default_factory=dict)
    """when the last try of what has not succeeded yet was"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    credential: CredentialStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    credential: CredentialStatus


RotationAction: TypeAlias = Mint | Revoke


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationStep:
    """The status to write, at most one action, and when to look again (seconds)."""

    status: RotatingSecretStatus
    action: RotationAction | None = None
    requeue: float | None = field(default=None)


def entitled(
    secret: RotatingSecret, workloads: Sequence[Workload], leases: Mapping[str, Sequence[Lease]]
) -> dict[str, Holder]:
    """Return who may hold a credential now, by uid. ``leases`` are by the workload's uid.

    A lease on its way out is entitled to nothing any more, and neither is what nobody refers to.
    """
    found: dict[str, Holder] = {}
    for workload in workloads:
        alive = tuple(each for each in leases.get(workload.meta.uid, ()) if may_hold(each))
        if secret.spec.scope == "Lease":
            for each in alive:
                found[each.meta.uid] = _holder(each.meta.uid, each.meta.name, workload, (each,))
        elif not workload.meta.deleting or alive:
            uid = workload.meta.uid
            found[uid] = _holder(uid, workload.meta.name, workload, alive)
    return found


def _holder(uid: str, name: str, workload: Workload, leases: tuple[Lease, ...]) -> Holder:
    return Holder(uid=uid, name=name, namespace=workload.meta.namespace, leases=leases)


def may_hold(lease: Lease) -> bool:
    """Return whether a lease may hold a credential now; once it may no more, it never may again."""
    status = lease.status
    return status.failure is None and status.phase in HOLDING and status.closed_at is None


def uses(workload: Workload, name: str) -> bool:
    """Return whether a workload refers to a RotatingSecret."""
    return any(each.rotating_secret_ref.name == name for each in workload.spec.secrets)


def step(view: RotationView) -> RotationStep:
    """Return the next step: note what is to be revoked and minted, then do it, one at a time.

    What fails waits behind the rest: a source that is gone for good holds up nobody else's credential.
    """
    status = _asked(view)
    return (
        _unneeded(view, status)
        or _superseded(view, status)
        or _missing(view, status)
        or _begun(view, status)
        or RotationStep(status=status, requeue=_wait(view, status))
    )


def settle(view: RotationView, taken: RotationStep, error: Exception | None) -> RotationStep:
    """Return the step with its action's outcome folded in."""
    match taken.action:
        case None:
            return taken
        case Mint(credential=credential) if error is None:
            minted = replace(credential, state="Live", minted_at=view.now.replace(microsecond=0))
            status = _with(taken.status, credential, minted)
            return RotationStep(status=replace(status, last_error=""), requeue=0.0)
        case Revoke(credential=credential) if error is None:
            status = _with(taken.status, credential, None)
            revoked = replace(status, revoked=status.revoked + 1, last_error="")
            return RotationStep(status=revoked, requeue=0.0)
        case _:
            return RotationStep(status=replace(taken.status, last_error=_told(taken, str(error))))


def _told(taken: RotationStep, message: str) -> str:
    """The error of the first in the list, so that two that fail do not take turns in the status."""
    first = next((each for each in taken.status.credentials if each.state != "Live"), None)
    is_first = taken.action is not None and first == taken.action.credential
    return message[:1024] if is_first else taken.status.last_error or message[:1024]


def counted(status: RotatingSecretStatus, generation: int) -> RotatingSecretStatus:
    """Return the status with its sums."""
    live = sum(each.state == "Live" for each in status.credentials)
    return replace(status, live=live, observed_generation=generation)


def newest(status: RotatingSecretStatus, holder: str) -> CredentialStatus | None:
    """Return the newest live credential of a holder."""
    live = [each for each in status.credentials if each.holder == holder and each.state == "Live"]
    return max(live, key=lambda each: each.version, default=None)


def is_revoked(status: RotatingSecretStatus, holder: str) -> bool:
    """Return whether nothing that was made for a holder can still be valid."""
    return all(each.holder != holder for each in status.credentials)


def overdue(since: datetime | None, now: datetime) -> bool:
    """Return whether a replica has had a version to acknowledge for too long."""
    return since is not None and now - since > ACKNOWLEDGE


def slot_of(credential: CredentialStatus) -> Slot:
    """Return what tells a secret's credentials apart."""
    return credential.holder, credential.version


def _asked(view: RotationView) -> RotatingSecretStatus:
    """The status with a higher version where a rotation is due: by time, by a person, by its source."""
    status, secret = view.secret.status, view.secret
    request = secret.meta.annotations.get(ANNOTATION_ROTATE, "")[:253]
    first = status.version == 0
    by_person = bool(request) and request != status.last_handled_rotate_request
    by_source = _is_moved(view) or (bool(view.digest) and view.digest != status.digest)
    timed = _is_timed(view)
    by_time = timed and status.next_rotation_at is not None and view.now >= status.next_rotation_at
    if not (first or by_person or by_source or by_time):
        return status
    return replace(
        status,
        version=status.version + 1,
        digest=view.digest,
        next_rotation_at=_next(view) if timed else None,
        last_handled_rotate_request=request,
    )


def _is_timed(view: RotationView) -> bool:
    return view.secret.spec.source.type != "SecretRef"


def _is_moved(view: RotationView) -> bool:
    """Whether the spec names another source than the one that the newest version is asked of."""
    status, source = view.secret.status, CredentialSource.of(view.secret.spec.source)
    return any(
        each.version == status.version and each.source != source for each in status.credentials
    )


def _next(view: RotationView) -> datetime:
    """Earlier by a fraction of the jitter that is the secret's own, so that not all rotate at once."""
    rotation = view.secret.spec.rotation
    drawn = hashlib.sha256(f"{view.secret.meta.uid}/{view.secret.status.version}".encode()).digest()
    share = int.from_bytes(drawn[:4], "big") / 2**32 * rotation.jitter_percent / 100
    wait = timedelta(seconds=rotation.every_seconds * (1 - share))
    return (view.now + wait).replace(microsecond=0)


def _unneeded(view: RotationView, status: RotatingSecretStatus) -> RotationStep | None:
    """Mark for revocation what nobody may hold, what was replaced, and what has lost its source."""
    source = CredentialSource.of(view.secret.spec.source)
    for each in status.credentials:
        if each.state == "Revoking":
            continue
        lost = each.state == "Minting" and each.source != source
        if lost or each.holder not in view.holders or _is_ripe(view, each):
            marked = _with(status, each, replace(each, state="Revoking"))
            return RotationStep(status=marked, requeue=0.0)
    return None


def _is_ripe(view: RotationView, credential: CredentialStatus) -> bool:
    """Whether every replica has a newer version, acknowledged, since the grace."""
    if credential.superseded_at is None:
        return False
    grace = timedelta(seconds=view.secret.spec.rotation.grace_seconds)
    return view.now - credential.superseded_at >= grace


def _begun(view: RotationView, status: RotatingSecretStatus) -> RotationStep | None:
    """Mint or revoke: first what has not failed, then what failed longest ago."""
    waiting = [each for each in status.credentials if each.state != "Live"]
    if not waiting:
        return None
    never = datetime.min.replace(tzinfo=view.now.tzinfo)
    chosen = min(waiting, key=lambda each: view.failed.get(slot_of(each), never))
    minting = chosen.state == "Minting"
    action = Mint(credential=chosen) if minting else Revoke(credential=chosen)
    return RotationStep(status=status, action=action, requeue=0.0)


def _superseded(view: RotationView, status: RotatingSecretStatus) -> RotationStep | None:
    """Start the grace of what everybody has replaced."""
    for each in status.credentials:
        if each.state != "Live" or each.superseded_at is not None:
            continue
        newer = newest(status, each.holder)
        if newer is None or newer.version <= each.version:
            continue
        if acknowledged(view.holders[each.holder].leases, view.secret.meta.name, newer.version):
            at = view.now.replace(microsecond=0)
            marked = _with(status, each, replace(each, superseded_at=at))
            return RotationStep(status=marked, requeue=0.0)
    return None


def acknowledged(leases: Sequence[Lease], name: str, version: int) -> bool:
    """Return whether every replica that was ever offered the secret has this version or a newer one.

    An offer is recorded before the value is sent, so a replica without one cannot hold an old version.
    """
    records = [record for each in leases for record in each.status.secrets if record.name == name]
    return all(each.version >= version for each in records)


def _missing(view: RotationView, status: RotatingSecretStatus) -> RotationStep | None:
    """Every holder needs the newest version; an older one is kept until it has been replaced."""
    if view.secret.meta.deleting and not view.in_use:
        return None
    for uid, holder in sorted(view.holders.items()):
        mine = [each.version for each in status.credentials if each.holder == uid]
        if max(mine, default=0) >= status.version or len(status.credentials) >= MAX_CREDENTIALS:
            continue
        new = CredentialStatus(
            holder=uid,
            name=holder.name,
            namespace=holder.namespace,
            version=status.version,
            source=CredentialSource.of(view.secret.spec.source),
        )
        added = replace(status, credentials=(*status.credentials, new))
        return RotationStep(status=added, requeue=0.0)
    return None


def _wait(view: RotationView, status: RotatingSecretStatus) -> float:
    moments = [view.now + timedelta(seconds=60)]
    if _is_timed(view) and status.next_rotation_at is not None:
        moments.append(status.next_rotation_at)
    grace = timedelta(seconds=view.secret.spec.rotation.grace_seconds)
    moments += [each.superseded_at + grace for each in status.credentials if each.superseded_at]
    return max(0.05, (min(moments) - view.now).total_seconds())


def _with(
    status: RotatingSecretStatus, old: CredentialStatus, new: CredentialStatus | None
) -> RotatingSecretStatus:
    slot = slot_of(old)
    kept = [
        new if slot_of(each) == slot else each
        for each in status.credentials
        if new is not None or slot_of(each) != slot
    ]
    return replace(status, credentials=tuple(each for each in kept if each is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSecret:
    """What a replica should have. ``version`` None: nothing is live yet for its holder."""

    name: str
    version: int | None


def use_of(uses_: Sequence[SecretUse], name: str) -> SecretUse | None:
    """Return how a workload sees a secret, None when it does not use it."""
    return next((each for each in uses_ if each.rotating_secret_ref.name == name), None)
