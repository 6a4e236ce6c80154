"""The sentinels as a source of facts, looked at in the background, and the calls that change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias, assert_never

from garrison.api.lease import Lease
from garrison.api.meta import LEASE, Key
from garrison.core.egress import WantedEgress
from garrison.core.identity import identity_of
from garrison.core.lifecycle import (
    Enrol,
    Observation,
    PrepareBootstrap,
    SealInstances,
    SetEgress,
    StartWorkload,
)
from garrison.core.mining import NO_POOLS, Pools, marked
from garrison.core.order import sentinel_ports
from garrison.core.variant import variant
from garrison.errors import AuthError, GarrisonError, UnavailableError, UnsafeDestinationError
from garrison.ports.clock import Clock
from garrison.ports.probe import Screen
from garrison.ports.samples import Samples
from garrison.ports.sentinel import (
    Bootstraps,
    Delivery,
    Door,
    Evidence,
    Injection,
    Sentinel,
    View,
)
from garrison.runtime.jobs import Jobs, Result

LOOK = "look"

SentinelAction: TypeAlias = PrepareBootstrap | Enrol | SetEgress | StartWorkload | SealInstances


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the looks at one sentinel have shown. ``views`` is empty after a call changed something."""

    views: tuple[View, ...] = ()
    looked_at: datetime | None = None
    error: str = ""
    refused: bool = False
    unsafe: str = ""
    down_since: datetime | None = None


class Sentinels:
    """One per operator; keyed by lease; holds only what a look finds again."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        screen: Screen,
        sentinel: Sentinel,
        bootstraps: Bootstraps,
        clock: Clock,
        pools: Pools = NO_POOLS,
    ) -> None:
        self._jobs = jobs
        self._pools = pools
        self._screen = screen
        self._sentinel = sentinel
        self._bootstraps = bootstraps
        self._clock = clock
        self._known: dict[Key, _Known] = {}
        self._injections: dict[str, Injection] = {}

    def forget(self, key: Key) -> None:
        """Drop what is remembered about a lease."""
        self._known.pop(key, None)

    async def injection(self, lease: Lease) -> Injection | None:
        """Return what starts the lease's sentinel, None before its bootstrap exists."""
        name = secret_of(lease)
        if name not in self._injections:
            found = await self._bootstraps.injection(name)
            if found is None:
                return None
            self._injections[name] = found
        return self._injections[name]

    def observe(self, o: Observation) -> Observation:
        """Return the observation with the newest look; start one that is due."""
        if o.status.control is None:
            return o
        key = _key(o)
        known = self._folded(key)
        if self._is_due(o, known) and not self._jobs.running(key, LOOK):
            self._jobs.start(key, LOOK, lambda: self._look(o))
        return variant(
            o,
            views=known.views,
            sentinel_error=known.error,
            sentinel_refused=known.refused,
            sentinel_down_since=known.down_since,
            unsafe=known.unsafe or o.unsafe,
        )

    def _folded(self, key: Key) -> _Known:
        known = self._known.get(key, _Known())
        result = self._jobs.take(key, LOOK)
        if result is not None:
            known = _advanced(known, result, self._clock.now())
            self._known[key] = known
        return known

    def _is_due(self, o: Observation, known: _Known) -> bool:
        if known.looked_at is None or (not known.views and not known.error):
            return True
        calm = o.status.phase == "Ready" and bool(known.views)
        period = o.timing.calm_look if calm else o.timing.look
        return o.now - known.looked_at >= timedelta(seconds=period)

    async def _look(self, o: Observation) -> tuple[View, ...]:
        found = await self._sentinel.look(await self._door(o))
        return tuple(marked(each, self._pools) for each in found)

    async def _door(self, o: Observation) -> Door:
        control = o.status.control
        reference = o.lease.spec.sentinel
        bootstrap = await self._bootstraps.fingerprint(secret_of(o.lease))
        if control is None or reference is None or bootstrap is None:
            raise UnavailableError(
                f"the bootstrap Secret of lease {o.lease.meta.name} is gone; the lease is replaced"
            )
        known = o.status.sentinel
        return Door(
            lease=identity_of(o.lease),
            destination=await self._screen.destination(
                control.host, control.port, allow_private=_allows_private(o)
            ),
            bootstrap=bootstrap,
            digest=reference.digest,
            instance=known.instance if known else None,
            key=known.key if known else None,
        )

    async def act(self, action: SentinelAction, o: Observation) -> object:
        """Perform one call; the next pass waits for a fresh look."""
        try:
            return await self._performed(action, o)
        finally:
            self._stale(_key(o))

    async def samples(self, o: Observation) -> Samples:
        """Return figures from inside the enrolled instance."""
        return await self._sentinel.metrics(await self._door(o))

    async def relayed(self, o: Observation) -> Samples:
        """Return what the workload of the enrolled instance says of itself."""
        return await self._sentinel.workload_metrics(await self._door(o))

    async def deliver(self, delivery: Delivery, o: Observation) -> None:
        """Hand one version of a secret over; the next pass waits for a fresh look."""
        try:
            await self._sentinel.deliver(await self._door(o), delivery)
        finally:
            self._stale(_key(o))

    async def attest(self, o: Observation, paths: Sequence[str]) -> Evidence:
        """Return what the enrolled instance says is inside; it changes nothing."""
        return await self._sentinel.attest(await self._door(o), paths)

    def _stale(self, key: Key) -> None:
        known = self._known.get(key)
        if known is not None:
            self._known[key] = replace(known, views=(), error="", refused=False)
        self._jobs.drop(key, LOOK)

    async def _performed(self, action: SentinelAction, o: Observation) -> object:
        match action:
            case PrepareBootstrap():
                await self._prepare(o)
            case Enrol():
                return await self._sentinel.enrol(await self._door(o))
            case SetEgress():
                door = await self._door(o)
                return await self._sentinel.set_egress(door, action.version, action.policy)
            case StartWorkload():
                await self._sentinel.start(await self._door(o), action.launch)
            case SealInstances():
                await self._sentinel.seal(await self._door(o), action.reason)
            case _:
                assert_never(action)
        return None

    async def _prepare(self, o: Observation) -> None:
        assert o.template is not None  # noqa: S101 - pending() waits for it
        await self._bootstraps.prepare(
            secret_of(o.lease),
            identity_of(o.lease),
            sentinel_ports(o.template.port),
            WantedEgress().spec,
        )

    async def discard(self, lease: Lease) -> None:
        """Delete the lease's bootstrap: nothing can enrol with it any more."""
        if lease.spec.sentinel is not None:
            self._injections.pop(secret_of(lease), None)
            await self._bootstraps.discard(secret_of(lease))


def secret_of(lease: Lease) -> str:
    """Return the name of the Secret with a lease's bootstrap; "" when it has no sentinel."""
    return lease.spec.sentinel.secret_ref.name if lease.spec.sentinel is not None else ""


def _advanced(known: _Known, result: Result, now: datetime) -> _Known:
    if isinstance(result.value, tuple):
        return _Known(views=result.value, looked_at=now)
    error = result.error
    return _Known(
        looked_at=now,
        error=str(error) if isinstance(error, GarrisonError) else type(error).__name__,
        refused=isinstance(error, AuthError),
        unsafe=str(error) if isinstance(error, UnsafeDestinationError) else "",
        down_since=known.down_since or now,
    )


def _allows_private(o: Observation) -> bool:
    return o.account is not None and o.account.spec.allow_private_addresses


def _key(o: Observation) -> Key:
    return Key(kind=LEASE.kind, namespace=o.lease.meta.namespace, name=o.lease.meta.name)
