"""AkashLease: observe the market, take one step, write it down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

from garrison.api.lease import STATUS_ADAPTER, Lease
from garrison.api.meta import FINALIZER, LEASE, Key, Kind, Raw, key_of
from garrison.api.parsing import dump
from garrison.api.workload import Integrity
from garrison.controllers.attestations import Attestations
from garrison.controllers.catalog import Catalog
from garrison.controllers.contexts import Contexts
from garrison.controllers.finalizer import Finalizer
from garrison.controllers.gateways import Gateways
from garrison.controllers.measurements import Measurements
from garrison.controllers.pulls import Pulls, withheld
from garrison.controllers.scrapes import Scrapes
from garrison.controllers.secrets import Deliveries
from garrison.controllers.sentinels import Sentinels
from garrison.controllers.stories import lease_notes
from garrison.controllers.triggers import lease_triggers
from garrison.core.lifecycle import (
    AcceptBid,
    Action,
    CloseDeployment,
    CreateDeployment,
    DeliverSecret,
    DepositEscrow,
    Enrol,
    EnsureFinalizer,
    LookInside,
    Observation,
    PrepareBootstrap,
    RemoveFinalizer,
    SealInstances,
    SendManifest,
    SetEgress,
    StartBenchmark,
    StartWorkload,
    Step,
    Timing,
    owes,
    unresolved_create,
)
from garrison.core.replica import finished, settle, step
from garrison.core.rotation import use_of
from garrison.core.serving import with_status
from garrison.core.treasury import is_due
from garrison.core.variant import variant
from garrison.core.winding import is_winding
from garrison.errors import (
    AuthError,
    ConflictError,
    GarrisonError,
    RejectedError,
    TransientError,
    UnavailableError,
)
from garrison.ports.kube import Kube
from garrison.ports.market import (
    Deployment,
    Exchange,
    Exchanges,
    LeaseTarget,
    Market,
    Order,
)
from garrison.ports.sentinel import Delivery
from garrison.runtime.cache import Cache
from garrison.runtime.controller import Outcome, Plan, Trigger, Verdict

SERVING = frozenset({"Enrolling", "Verifying", "Benchmarking", "Ready"})

LOOKS_AT_ONCE = 16
"""Passes of serving replicas that may wait for the market, of the engine's many."""


class LeaseController:
    """Reconciles one replica. Holds in memory only what may be lost: tokens, probes, jobs."""

    def __init__(
        self,
        *,
        cache: Cache,
        catalog: Catalog,
        kube: Kube,
        contexts: Contexts,
        exchanges: Exchanges,
        measurements: Measurements,
        sentinels: Sentinels,
        scrapes: Scrapes,
        deliveries: Deliveries,
        attestations: Attestations,
        pulls: Pulls,
        timing: Timing,
    ) -> None:
        self._finalizer = Finalizer(kube=kube, cache=cache, kind=LEASE)
        self._catalog = catalog
        self._contexts = contexts
        self._exchanges = exchanges
        self._measurements = measurements
        self._sentinels = sentinels
        self._scrapes = scrapes
        self._deliveries = deliveries
        self._attestations = attestations
        self._pulls = pulls
        self._gateways = Gateways()
        self._timing = timing
        self._steps: dict[str, Step] = {}
        self._seen: dict[str, tuple[datetime, Deployment | None]] = {}
        self._uids: dict[Key, str] = {}
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)

    @property
    def kind(self) -> Kind:
        return LEASE

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        return lease_triggers(self._catalog)

    def forget(self, key: Key) -> None:
        """Drop what is remembered about an object that is gone."""
        self._measurements.forget(key)
        uid = self._uids.pop(key, None)
        if uid is not None:
            self._gateways.forget(uid)
            self._pulls.forget(uid)
            self._seen.pop(uid, None)
            self._steps.pop(uid, None)
            self._contexts.tokens.pop(uid, None)
        self._sentinels.forget(key)
        self._scrapes.forget(key)
        self._attestations.forget(key)

    async def observe(self, raw: Raw) -> Observation:
        """Read what this phase needs. Raises when the market must be known and is not."""
        lease = self._catalog.leases.of(raw)
        if lease.status.phase != "Ready" or lease.meta.deleting:
            self._scrapes.forget(key_of(raw))
        self._uids[key_of(raw)] = lease.meta.uid
        base = await self._contexts.of(lease)
        if FINALIZER not in lease.meta.finalizers or lease.status.closed_at is not None:
            return base
        if base.account is None:
            return self._without_account(base)
        if is_winding(base) and not owes(lease.status):
            return base
        exchange = await self._exchanges.of(base.account)
        base = variant(
            base, traits=exchange.market.traits, proposed_id=exchange.market.propose_id()
        )
        (read_at, deployment), base = await asyncio.gather(
            self._deployment(exchange.market, base), self._beside(base, exchange)
        )
        base = variant(base, deployment=deployment, deployment_at=read_at)
        return await self._phase(await self._with_balance(base, exchange.market), exchange)

    async def _beside(self, o: Observation, exchange: Exchange) -> Observation:
        """What is read while the deployment is, because it rests on nothing that the deployment says."""
        if is_winding(o):
            return o
        if o.status.phase in {"Bidding", "Leasing"} and o.status.deployment is not None:
            bids = await exchange.market.bids(o.status.deployment.id)
            return variant(o, bids=tuple(bids))
        if o.status.phase == "Deploying":
            return await self._gateways.observe(o, exchange.gateway, self._contexts.target(o))
        return o

    async def _with_balance(self, o: Observation, market: Market) -> Observation:
        """A serving replica does not depend on the market: a silent one only delays the top-up."""
        if not is_due(o):
            return o
        try:
            found = await market.balance()
        except (TransientError, AuthError, RejectedError):
            return o
        return variant(o, balance=found.available)

    def _without_account(self, base: Observation) -> Observation:
        if base.lease.status.deployment is not None or base.lease.status.intent is not None:
            raise UnavailableError(
                f"AkashAccount {base.lease.spec.account!r} does not exist, so deployment of lease "
                f"{base.lease.meta.name} can neither be watched nor closed; create the account again",
                reason="NoAccount",
            )
        return base

    async def _deployment(
        self, market: Market, o: Observation
    ) -> tuple[datetime, Deployment | None]:
        """When it was read, and the recorded deployment or one that an unresolved create has made.

        A serving replica does not depend on the market: there it is read seldom, and may be silent; on
        a slow market, passes of serving replicas do not wait for it in such numbers that none is left
        for those that are on their way.
        """
        status = o.status
        if status.deployment is None:
            return o.now, await self._searched(market, o)
        uid = o.lease.meta.uid
        if status.phase not in SERVING or is_winding(o):
            self._seen.pop(uid, None)
            found = await market.deployment(status.deployment.id)
            if status.phase == "Deploying":
                self._seen[uid] = (o.now, found)
            return o.now, found
        seen = self._seen.get(uid)
        if seen is not None and (o.now - seen[0]).total_seconds() < self._timing.watch:
            return seen
        if seen is not None and self._looks.locked():
            return seen
        try:
            async with self._looks:
                found = await market.deployment(status.deployment.id)
        except TransientError:
            found = None
        self._seen[uid] = (o.now, found)
        return o.now, found

    async def _searched(self, market: Market, o: Observation) -> Deployment | None:
        """Look by the chosen id, then by the marker: a market may have given an id of its own.

        What has the chosen id while its marker is not known yet may be ours: the list says so, or raises.
        What is adopted has the id that is wished for, and no marker.
        """
        adopts = o.lease.spec.adopts
        if adopts is not None:
            return await market.deployment(adopts.deployment)
        intent = unresolved_create(o.status)
        if intent is None or o.holds_token:
            return None
        if intent.deployment is not None:
            found = await market.deployment(intent.deployment)
            if found is not None and found.marker:
                return found if found.marker == intent.marker else None
        mine = [each for each in await market.open_deployments() if each.marker == intent.marker]
        return min(mine, key=lambda each: each.id, default=None)

    async def _phase(self, o: Observation, exchange: Exchange) -> Observation:
        if is_winding(o) or o.status.phase not in SERVING:
            return o
        o = self._measurements.observe(o)
        if o.verified:
            o = self._scrapes.observe(self._sentinels.observe(o))
            o = self._attestations.observe(o, self._asked(o.lease))
        return await self._gateways.observe(o, exchange.gateway, self._contexts.target(o))

    def _asked(self, lease: Lease) -> Integrity | None:
        workload = self._contexts.owner(lease)
        return workload.spec.integrity if workload is not None else None

    def plan(self, observed: Observation, now: datetime) -> Plan[Action]:
        """Return the one action of this step."""
        del now  # the step is judged by the moment of observation
        taken = step(observed)
        self._steps[observed.lease.meta.uid] = taken
        actions = (taken.action,) if taken.action is not None else ()
        return Plan(actions=actions, requeue_after=taken.requeue)

    async def act(self, action: Action, observed: Observation) -> object:
        """Perform one action. A token is given up before the call: it is good for one try."""
        match action:
            case EnsureFinalizer():
                await self._finalizer.add(observed.lease.meta)
            case RemoveFinalizer():
                await self._sentinels.discard(observed.lease)
                await self._pulls.discard(observed.lease.meta.uid)
                await self._finalizer.remove(observed.lease.meta)
            case StartBenchmark():
                self._measurements.benchmark(observed)
            case LookInside():
                self._attestations.look(observed)
            case (
                CreateDeployment()
                | AcceptBid()
                | SendManifest()
                | CloseDeployment()
                | DepositEscrow()
            ):
                return await self._trade(action, observed)
            case DeliverSecret():
                await self._deliver(action, observed)
            case PrepareBootstrap() | Enrol() | SetEgress() | StartWorkload() | SealInstances():
                return await self._sentinels.act(action, observed)
            case _:
                assert_never(action)
        return None

    async def _deliver(self, action: DeliverSecret, o: Observation) -> None:
        workload = self._contexts.owner(o.lease)
        use = use_of(o.template.secrets if o.template else (), action.name)
        if workload is None or use is None:
            raise ConflictError(f"secret {action.name} is not wanted any more; looking again")
        found = await self._deliveries.value(o.lease, workload, action.name, action.version)
        delivery = Delivery(
            name=action.name,
            version=action.version,
            value=found.value,
            env=use.env,
            file=use.file,
            on_rotate=use.on_rotate,
        )
        await self._sentinels.deliver(delivery, o)

    async def _trade(
        self,
        action: CreateDeployment | AcceptBid | SendManifest | CloseDeployment | DepositEscrow,
        o: Observation,
    ) -> object:
        assert o.account is not None  # noqa: S101 - observe() raised without it
        exchange = await self._exchanges.of(o.account)
        match action:
            case CreateDeployment() | AcceptBid() | SendManifest():
                return await self._ordered(action, o, exchange)
            case CloseDeployment():
                await exchange.market.close(action.deployment)
            case DepositEscrow():
                self._contexts.tokens.pop(o.lease.meta.uid, None)
                await exchange.market.deposit(action.deployment, action.amount)
            case _:
                assert_never(action)
        return None

    async def _ordered(
        self,
        action: CreateDeployment | AcceptBid | SendManifest,
        o: Observation,
        exchange: Exchange,
    ) -> object:
        """Send what holds the order. The login is made first: a failure there uses up no token."""
        places = isinstance(action, CreateDeployment)
        order = await self._pulls.with_login(o, action.order, places=places)
        try:
            match action:
                case CreateDeployment():
                    return await self._created(action, order, o, exchange)
                case AcceptBid():
                    self._contexts.tokens.pop(o.lease.meta.uid, None)
                    await exchange.market.accept(action.bid, order)
                case SendManifest():
                    await exchange.gateway.send_manifest(self._known_target(o), order)
                case _:
                    assert_never(action)
        except GarrisonError as error:
            raise withheld(error, order) from None
        return None

    async def _created(
        self, action: CreateDeployment, order: Order, o: Observation, exchange: Exchange
    ) -> Deployment:
        self._contexts.tokens.pop(o.lease.meta.uid, None)
        try:
            return await exchange.market.create(order, action.deployment)
        except TransientError:
            # Nothing was done: the token is not used up, and lives as long as before.
            self._contexts.tokens[o.lease.meta.uid] = action.token
            raise

    def _known_target(self, o: Observation) -> LeaseTarget:
        target = self._contexts.target(o)
        if target is None:
            raise UnavailableError(f"the host of provider {o.status.provider} is not known yet")
        return target

    def conclude(
        self, observed: Observation, outcomes: tuple[Outcome[Action], ...], now: datetime
    ) -> Verdict:
        """Return the status with the outcome folded in if it is new, and the Events of the story."""
        del now
        taken = self._steps.pop(observed.lease.meta.uid, None) or step(observed)
        if isinstance(taken.action, EnsureFinalizer | RemoveFinalizer):
            return Verdict(requeue_after=taken.requeue)
        if taken.action is not None and outcomes:
            taken = settle(observed, taken, outcomes[0].value, outcomes[0].error)
        status = finished(observed, taken.status)
        if status.intent is not None and status.intent.token == observed.token:
            self._contexts.tokens[observed.lease.meta.uid] = observed.token
        if status.phase == "Verifying" and observed.status.phase == "Deploying":
            self._measurements.observe(with_status(observed, status))
        return Verdict(
            status=dump(STATUS_ADAPTER, status) if status is not observed.status else None,
            notes=(
                *lease_notes(observed.lease, status),
                *self._pulls.notes(observed.lease, status),
            ),
            requeue_after=taken.requeue,
        )
