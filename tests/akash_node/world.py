"""Operators that come and go, and what outlives them.

The engine and the adapters are the real ones, HTTP goes through sockets; only time is virtual, so that
blocks of six seconds, an outcome horizon of minutes and a run of hours pass in a moment.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from garrison.adapters.akash.exchanges import AkashExchanges
from garrison.adapters.memory.bootstraps import MemoryBootstraps
from garrison.adapters.memory.clock import LoopClock, SeededChance
from garrison.adapters.memory.faults import Faults
from garrison.adapters.memory.gateway import MemoryGateway
from garrison.adapters.memory.identities import MemoryIdentities
from garrison.adapters.memory.issuer import MemoryIssuer
from garrison.adapters.memory.kube import MemoryKube, register
from garrison.adapters.memory.logins import MemoryLogins
from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.memory.registry import MemoryRegistry
from garrison.adapters.memory.sentinel import MemorySentinel
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.openai.prober import HttpProber
from garrison.api.meta import LEASE, OWN_KINDS, REVISION, SECRET, SERVICE, SLICE, Kind
from garrison.controllers.assembly import Pace, Ports, assemble
from garrison.runtime.engine import Engine
from kube_light.history import Change
from kube_light.store import Store
from tests.akash_node.mortality import CALLER, Reaper
from tests.builders import INSTALLATION

SYSTEM = "garrison-system"
SURVEY = 60.0
PATIENCE = 3 * 3600
"""seconds of virtual time"""
WATCHED = frozenset(each.kind for each in OWN_KINDS)


class Operator:
    """One process of the operator: everything in its memory is its own."""

    def __init__(self, world: World) -> None:
        self.dead = False
        self._world = world
        self._exchanges = AkashExchanges(
            kube=world.kube, namespace=SYSTEM, screen=NetScreen(), clock=world.clock
        )
        self.engine = self._assembled(world)
        token = CALLER.set(self)
        self._running = asyncio.create_task(self.engine.run(), name="operator")
        CALLER.reset(token)

    def _assembled(self, world: World) -> Engine:
        idle = MemoryMarket(clock=world.clock, providers=())
        registry, logins = MemoryRegistry(idle.faults), MemoryLogins(idle)
        ports = Ports(
            kube=world.kube,
            clock=world.clock,
            chance=SeededChance(world.chance.getrandbits(64)),
            exchanges=self._exchanges,
            registry=registry,
            pull_secrets=registry,
            logins=logins,
            kept_logins=logins,
            screen=NetScreen(),
            prober=HttpProber(),
            sentinel=MemorySentinel(
                market=idle, gateway=MemoryGateway(clock=world.clock, market=idle)
            ),
            bootstraps=MemoryBootstraps(idle),
            identities=MemoryIdentities(idle),
            issuer=MemoryIssuer(idle),
        )
        return assemble(ports, installation=INSTALLATION, pace=Pace(workers=4, survey=SURVEY))

    def die(self) -> None:
        """End between two turns of the event loop; somebody starts another one later."""
        if not self.dead:
            self.dead = True
            self._world.buried(asyncio.create_task(self.end(), name="burial"))

    async def end(self) -> None:
        """Cancel everything, and close every connection."""
        self.dead = True
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self.engine.stop(grace=0.0)
        await self._exchanges.close()


@dataclass(kw_only=True)
class World:
    """What outlives an operator: the API server's objects, the market, the clock."""

    chance: random.Random
    clock: LoopClock
    reaper: Reaper
    operators: list[Operator] = field(default_factory=list)
    spent: dict[str, str] = field(default_factory=dict)
    """what each lease's status said last that it had cost, by the lease's name"""
    store: Store = field(init=False)
    kube: MemoryKube = field(init=False)
    user: MemoryKube = field(init=False)
    _burials: list[asyncio.Task[None]] = field(default_factory=list)
    _successors: list[asyncio.TimerHandle] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Store(now=self.clock.now)
        register(self.store, [*OWN_KINDS, REVISION, SECRET, SERVICE, SLICE])
        faults = Faults(self.clock, self.reaper.kube, lambda *_: None, timedelta(minutes=1))
        self.kube, self.user = MemoryKube(self.store, faults), MemoryKube(self.store)
        self.store.listen(self._changed)

    def _changed(self, change: Change) -> None:
        self._note(change.object)
        if change.object["kind"] in WATCHED:
            for operator in self._alive():
                operator.engine.on_event(change.type, change.object)

    def _alive(self) -> list[Operator]:
        return [each for each in self.operators if not each.dead]

    def _note(self, body: Any) -> None:
        spent = (body.get("status") or {}).get("spent")
        if body["kind"] == LEASE.kind and spent is not None:
            self.spent[body["metadata"]["name"]] = spent

    def start(self) -> None:
        """Start an operator with nothing in its memory."""
        self.operators.append(Operator(self))

    def buried(self, burial: asyncio.Task[None]) -> None:
        """Start another one soon, or after so long that every outcome is settled."""
        self._burials.append(burial)
        pause = 600.0 if self.chance.random() < 0.1 else self.chance.random() * 20
        self._successors.append(asyncio.get_running_loop().call_later(pause, self.start))

    async def close(self) -> None:
        """End the operators that are alive; start none any more."""
        self.reaper.appoint(())
        for successor in self._successors:
            successor.cancel()
        await asyncio.gather(*(each.end() for each in self._alive()), *self._burials)

    async def objects(self, kind: Kind) -> Sequence[Any]:
        return await self.user.list(kind)

    async def until(self, done: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait some virtual hours at most."""
        for _ in range(PATIENCE):
            if await done():
                return
            await asyncio.sleep(1.0)
        raise AssertionError(
            f"never {what}: {[each.get('status') for each in await self.objects(LEASE)]}"
        )
