"""The engine as a whole: first listing, workers, pauses after failures, and a clean end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, cast

from garrison.adapters.memory.clock import ManualClock, SeededChance
from garrison.api.meta import Key, Kind, Raw, key_of
from garrison.errors import UnavailableError
from garrison.ports.kube import Kube, Object
from garrison.runtime.controller import Outcome, Plan, Trigger, Verdict
from garrison.runtime.engine import Engine
from tests.unit.runtime.objects import BOAT, CREW, boat, key


@dataclass
class Coast:
    """An API server that lists, and may be silent at first."""

    boats: list[Object] = field(default_factory=list)
    silent_for: int = 0
    listed: int = 0

    async def list(self, kind: Kind) -> Sequence[Object]:
        self.listed += 1
        if self.listed <= self.silent_for:
            raise UnavailableError("down")
        return self.boats if kind == BOAT else []

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return next((each for each in self.boats if each["metadata"]["name"] == name), None)


@dataclass
class Lookout:
    """Notes each look at a boat; ``trouble`` fails that many passes, ``stay`` holds one."""

    trouble: int = 0
    stay: float = 0.0
    requeue: float | None = None
    looks: list[tuple[float, str]] = field(default_factory=list)
    cancelled: int = 0

    kind = BOAT

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        return {CREW.kind: _boat_of_crew}

    async def observe(self, raw: Raw) -> Raw:
        self.looks.append((asyncio.get_running_loop().time(), raw["metadata"]["name"]))
        try:
            await asyncio.sleep(self.stay)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if len(self.looks) <= self.trouble:
            raise UnavailableError("down")
        return raw

    def plan(self, observed: Raw, now: datetime) -> Plan[Any]:
        return Plan(requeue_after=self.requeue)

    async def act(self, action: Any, observed: Raw) -> object:
        raise NotImplementedError

    def conclude(self, observed: Raw, outcomes: tuple[Outcome[Any], ...], now: datetime) -> Verdict:
        return Verdict()


def _boat_of_crew(raw: Raw) -> list[Key]:
    return [key(raw["metadata"]["labels"]["boat"])]


class Running:
    """An engine for the length of a block."""

    def __init__(self, coast: Coast, lookout: Lookout) -> None:
        self.engine = Engine(
            kube=cast("Kube", coast),
            clock=ManualClock(),
            chance=SeededChance(1),
            workers=2,
            resync_seconds=100.0,
        )
        self.engine.register([lookout])

    async def __aenter__(self) -> Engine:
        self._task = asyncio.create_task(self.engine.run())
        await asyncio.sleep(1.0)
        return self.engine

    async def __aexit__(self, *_: object) -> None:
        await self.engine.stop()
        await self._task


async def test_everything_listed_is_looked_at_once() -> None:
    lookout = Lookout()
    async with Running(Coast([boat("one"), boat("two")]), lookout) as engine:
        assert engine.synced
        assert engine.alive
        assert sorted(name for _, name in lookout.looks) == ["one", "two"]
    assert not engine.alive


async def test_nothing_is_decided_before_everything_is_listed() -> None:
    lookout = Lookout()
    coast = Coast([boat("one"), boat("early")], silent_for=3)
    async with Running(coast, lookout) as engine:
        engine.on_event("ADDED", boat("early"))
        assert not engine.synced
        assert lookout.looks == []
        await asyncio.sleep(100)
        assert engine.synced
        assert {name for _, name in lookout.looks} == {"early", "one"}


async def test_failed_passes_come_again_with_growing_pauses_and_a_good_one_ends_the_row() -> None:
    lookout = Lookout(trouble=6)
    async with Running(Coast([boat()]), lookout):
        await asyncio.sleep(90)
    times = [at for at, _ in lookout.looks]
    pauses = [after - before for before, after in pairwise(times)]
    assert len(pauses) >= 6
    assert min(pauses[:6]) >= 0.25
    assert max(pauses[:6]) <= 60.0
    assert max(pauses[3:6]) > max(pauses[:2])


async def test_a_pass_that_asks_for_another_look_gets_it() -> None:
    lookout = Lookout(requeue=10.0)
    async with Running(Coast([boat()]), lookout):
        await asyncio.sleep(35)
    assert len(lookout.looks) == 4


async def test_other_kinds_wake_only_what_is_known() -> None:
    lookout = Lookout()
    async with Running(Coast([boat()]), lookout) as engine:
        before = len(lookout.looks)
        for name in ("one", "unknown"):
            engine.on_event("ADDED", boat(f"crew-{name}", kind="Crew", labels={"boat": name}))
        await asyncio.sleep(1)
        assert [name for _, name in lookout.looks[before:]] == ["one"]


async def test_a_resync_finds_what_the_watch_lost_and_drops_what_is_gone() -> None:
    coast, lookout = Coast([boat("one")]), Lookout()
    async with Running(coast, lookout) as engine:
        coast.boats = [boat("two")]
        await asyncio.sleep(150)
        assert engine.cache.get(key("one")) is None
        assert engine.cache.get(key_of(boat("two"))) is not None
        assert "two" in {name for _, name in lookout.looks}


async def test_stopping_lets_a_short_pass_end_and_cancels_a_long_one() -> None:
    for stay, cancelled in ((2.0, 0), (500.0, 1)):
        lookout = Lookout(stay=stay)
        began = asyncio.get_running_loop().time()
        async with Running(Coast([boat()]), lookout):
            pass
        assert lookout.cancelled == cancelled
        assert asyncio.get_running_loop().time() - began <= 11.0


async def test_stopping_before_the_first_listing_ends_at_once() -> None:
    began = asyncio.get_running_loop().time()
    async with Running(Coast(silent_for=10**6), Lookout()):
        pass
    assert asyncio.get_running_loop().time() - began < 35.0
