"""The memory implementation under faults, and that it repeats itself exactly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

import pytest

from garrison.adapters.memory.clock import ManualClock
from garrison.adapters.memory.faults import (
    Call,
    Fail,
    Fault,
    Faults,
    Late,
    Lose,
    Pass,
    Stage,
    Stale,
)
from garrison.adapters.memory.kube import MemoryKube, register
from garrison.api.meta import EVENT, OWN_KINDS, WORKLOAD, key_of
from garrison.errors import AlreadyExistsError, ConflictError, UnavailableError
from garrison.ports.kube import Note, Object
from kube_light.history import Change
from kube_light.store import Store

MINUTE = timedelta(minutes=1)


def _workload(name: str = "chat") -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"replicas": 1}}


class World:
    """A store, a port with one fault at a time, and the effects that come later."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        numbers = count(1)
        self.store = Store(now=self.clock.now, uid=lambda: f"uid-{next(numbers)}")
        register(self.store, OWN_KINDS)
        self.fault: Fault = Pass()
        self.stage = Stage.BEFORE
        self.calls: list[Call] = []
        self.later: list[Callable[[datetime], object]] = []
        faults = Faults(self.clock, self._hook, self._later, timedelta(seconds=30))
        self.kube = MemoryKube(self.store, faults)

    async def _hook(self, call: Call) -> Fault:
        self.calls.append(call)
        return self.fault if call.stage is self.stage else Pass()

    def _later(self, _at: datetime, effect: Callable[[datetime], object]) -> None:
        self.later.append(effect)

    def inject(self, fault: Fault, stage: Stage = Stage.BEFORE) -> None:
        self.fault, self.stage = fault, stage


@pytest.fixture
def world() -> World:
    return World()


async def test_a_call_says_what_it_is_about(world: World) -> None:
    await world.kube.create(WORKLOAD, _workload())
    first, *_ = world.calls
    assert (first.port, first.operation, first.write) == ("kube", "create", True)
    assert first.subject == "InferenceWorkload/default/chat"


async def test_a_failed_write_has_no_effect(world: World) -> None:
    world.inject(Fail())
    with pytest.raises(UnavailableError):
        await world.kube.create(WORKLOAD, _workload())
    world.inject(Pass())
    assert await world.kube.list(WORKLOAD) == []


async def test_a_lost_answer_leaves_the_effect(world: World) -> None:
    world.inject(Lose(), Stage.AFTER)
    with pytest.raises(UnavailableError):
        await world.kube.create(WORKLOAD, _workload())
    world.inject(Pass())
    with pytest.raises(AlreadyExistsError):
        await world.kube.create(WORKLOAD, _workload())


async def test_a_late_write_conflicts_with_nobody_to_hear_of_it(world: World) -> None:
    created = await world.kube.create(WORKLOAD, _workload())
    version = created["metadata"]["resourceVersion"]
    world.inject(Late(timedelta(seconds=2)))
    with pytest.raises(UnavailableError):
        await world.kube.replace_status(
            WORKLOAD, "default", "chat", status={"url": "late"}, resource_version=version
        )
    world.inject(Pass())
    newer = await world.kube.replace_status(
        WORKLOAD, "default", "chat", status={"url": "newer"}, resource_version=version
    )
    for effect in world.later:
        effect(world.clock.now())
    assert await world.kube.get(WORKLOAD, "default", "chat") == newer


async def test_a_late_write_comes_in_the_end(world: World) -> None:
    world.inject(Late(timedelta(seconds=2)))
    with pytest.raises(UnavailableError):
        await world.kube.create(WORKLOAD, _workload())
    world.inject(Pass())
    assert await world.kube.get(WORKLOAD, "default", "chat") is None
    for effect in world.later:
        effect(world.clock.now())
    assert await world.kube.get(WORKLOAD, "default", "chat") is not None


async def test_a_stale_read_shows_what_was(world: World) -> None:
    old = await world.kube.create(WORKLOAD, _workload())
    world.clock.advance(timedelta(seconds=2))
    await world.kube.replace_status(
        WORKLOAD,
        "default",
        "chat",
        status={"url": "new"},
        resource_version=old["metadata"]["resourceVersion"],
    )
    await world.kube.create(WORKLOAD, _workload("second"))
    world.inject(Stale(timedelta(seconds=1)))
    assert await world.kube.list(WORKLOAD) == [old]
    assert await world.kube.get(WORKLOAD, "default", "chat") == old
    world.inject(Stale(timedelta(seconds=3)))
    assert await world.kube.list(WORKLOAD) == []


async def test_notes_are_counted_for_ten_minutes(world: World) -> None:
    created = await world.kube.create(WORKLOAD, _workload())
    note = Note(
        about=key_of(created),
        uid=created["metadata"]["uid"],
        type="Normal",
        reason="Waiting",
        message="no provider bids; raise the price",
    )
    await world.kube.note(note)
    world.clock.advance(9 * MINUTE)
    await world.kube.note(note)
    world.clock.advance(11 * MINUTE)
    await world.kube.note(note)
    events = await world.kube.list(EVENT)
    counts = sorted(each.get("series", {}).get("count", 1) for each in events)
    assert counts == [1, 2]


async def test_a_lost_note_is_no_error(world: World) -> None:
    created = await world.kube.create(WORKLOAD, _workload())
    uid = created["metadata"]["uid"]
    world.inject(Fail())
    note = Note(about=key_of(created), uid=uid, type="Normal", reason="R", message="m")
    await world.kube.note(note)
    world.inject(Pass())
    assert await world.kube.list(EVENT) == []


async def _story() -> tuple[list[Change], list[Object]]:
    world = World()
    changes: list[Change] = []
    world.store.listen(changes.append)
    created = await world.kube.create(WORKLOAD, _workload())
    world.clock.advance(MINUTE)
    version = created["metadata"]["resourceVersion"]
    await world.kube.replace_status(
        WORKLOAD, "default", "chat", status={"url": "x"}, resource_version=version
    )
    with pytest.raises(ConflictError):
        await world.kube.replace_status(
            WORKLOAD, "default", "chat", status={"url": "y"}, resource_version=version
        )
    await world.kube.create(WORKLOAD, _workload("second"))
    await world.kube.delete(WORKLOAD, "default", "chat")
    return changes, list(await world.kube.list(WORKLOAD))


async def test_the_same_calls_give_the_same_changes() -> None:
    changes, objects = await _story()
    assert (changes, objects) == await _story()
    assert [each.type for each in changes] == ["ADDED", "MODIFIED", "ADDED", "DELETED"]
