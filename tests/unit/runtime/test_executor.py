"""One pass, whatever its calls answer: how it ends, what is written, and when it comes again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import pytest

from garrison.adapters.memory.clock import ManualClock
from garrison.api.meta import Key, Kind, Raw
from garrison.errors import (
    ConflictError,
    GarrisonError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from garrison.ports.kube import Kube, Note, Object
from garrison.runtime.cache import Cache
from garrison.runtime.canary import Canary
from garrison.runtime.controller import Outcome, Plan, Trigger, Verdict
from garrison.runtime.executor import Executor, Passed
from garrison.runtime.meter import NoMeter
from garrison.runtime.notes import Notes
from tests.unit.runtime.objects import BOAT, boat, key

NOTE = Note(about=key(), uid="uid-one", type="Normal", reason="Sailed", message="out at sea")


@dataclass
class Harbour:
    """The API server: what it holds, what it refuses, what was written."""

    held: Object | None = None
    refuses: GarrisonError | None = None
    refuses_notes: GarrisonError | None = None
    statuses: list[Mapping[str, Any]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return self.held

    async def replace_status(
        self, kind: Kind, namespace: str, name: str, *, status: Any, resource_version: str
    ) -> Object:
        if self.refuses is not None:
            raise self.refuses
        self.statuses.append(status)
        return boat(version=int(resource_version) + 1, status=status)

    async def note(self, note: Note) -> None:
        if self.refuses_notes is not None:
            raise self.refuses_notes
        self.notes.append(note)


@dataclass
class Captain:
    """A controller that does as it is told."""

    sees: Exception | None = None
    does: Sequence[Exception | None] = ()
    verdict: Verdict = field(default_factory=lambda: Verdict(status={"phase": "Sailing"}))
    requeue: float | None = 30.0
    outcomes: tuple[Outcome[int], ...] = ()
    done: list[int] = field(default_factory=list)
    forgot: list[Key] = field(default_factory=list)

    kind = BOAT
    triggers: Mapping[str, Trigger] = field(default_factory=dict)

    async def observe(self, raw: Raw) -> Raw:
        if self.sees is not None:
            raise self.sees
        return raw

    def plan(self, observed: Raw, now: datetime) -> Plan[int]:
        return Plan(actions=tuple(range(len(self.does))), requeue_after=self.requeue)

    async def act(self, action: int, observed: Raw) -> object:
        self.done.append(action)
        error = self.does[action]
        if error is not None:
            raise error
        return action

    def conclude(self, observed: Raw, outcomes: tuple[Outcome[int], ...], now: datetime) -> Verdict:
        self.outcomes = outcomes
        return self.verdict

    def forget(self, key: Key) -> None:
        self.forgot.append(key)


def executor(
    captain: Captain, harbour: Harbour, *objects: Object, notes: Notes | None = None
) -> tuple[Executor, Cache]:
    cache = Cache()
    for each in objects:
        cache.put(each)
    return (
        Executor(
            controllers={"Boat": captain},
            cache=cache,
            kube=cast("Kube", harbour),
            clock=ManualClock(),
            meter=NoMeter(),
            canary=Canary(_clock),
            notes=notes or Notes(cast("Kube", harbour), NoMeter()),
        ),
        cache,
    )


def _clock() -> float:
    return 0.0


async def passed(captain: Captain, harbour: Harbour) -> Passed:
    notes = Notes(cast("Kube", harbour), NoMeter())
    ended = await executor(captain, harbour, boat(), notes=notes)[0].run(key())
    await notes.settle(within=1.0)
    return ended


async def test_writes_the_status_and_tells_the_story() -> None:
    harbour = Harbour()
    captain = Captain(verdict=Verdict(status={"phase": "Sailing"}, notes=(NOTE,)))
    assert await passed(captain, harbour) == Passed(ending="Done", requeue_after=30.0)
    assert harbour.statuses == [{"phase": "Sailing"}]
    assert harbour.notes == [NOTE]


async def test_an_equal_status_is_not_written_again() -> None:
    harbour = Harbour()
    run, _ = executor(Captain(), harbour, boat(status={"phase": "Sailing"}))
    await run.run(key())
    assert harbour.statuses == []


@pytest.mark.parametrize(
    ("planned", "concluded", "expected"),
    [(30.0, 5.0, 5.0), (5.0, 30.0, 5.0), (None, 5.0, 5.0), (5.0, None, 5.0), (None, None, None)],
)
async def test_the_earliest_look_counts(
    planned: float | None, concluded: float | None, expected: float | None
) -> None:
    captain = Captain(requeue=planned, verdict=Verdict(requeue_after=concluded))
    assert (await passed(captain, Harbour())).requeue_after == expected


async def test_the_first_failed_action_ends_the_row_and_the_status_is_still_written() -> None:
    harbour = Harbour()
    captain = Captain(does=[None, UnavailableError("down", retry_after=7.0), None])
    found = await passed(captain, harbour)
    assert (found.ending, found.retry_after) == ("Failed", 7.0)
    assert captain.done == [0, 1]
    assert [each.error is None for each in captain.outcomes] == [True, False]
    assert harbour.statuses == [{"phase": "Sailing"}]


async def test_an_action_that_crashes_is_an_outcome_and_not_the_end() -> None:
    captain = Captain(does=[ZeroDivisionError("bug")])
    assert (await passed(captain, Harbour())).ending == "Failed"
    assert isinstance(captain.outcomes[0].error, ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "ending", "retry_after"),
    [
        (UnavailableError("down"), "Failed", None),
        (RateLimitedError("slow", retry_after=9.0), "Failed", 9.0),
        (RejectedError("no"), "Failed", None),
        (ZeroDivisionError("bug"), "Crashed", None),
        (ConflictError("newer"), "Conflict", None),
        (NotFoundError("missing"), "Conflict", None),
    ],
)
async def test_a_pass_that_cannot_see_ends_without_a_write(
    error: Exception, ending: str, retry_after: float | None
) -> None:
    harbour = Harbour(held=boat(version=2))
    found = await passed(Captain(sees=error), harbour)
    assert (found.ending, found.retry_after) == (ending, retry_after)
    assert harbour.statuses == []


async def test_a_conflict_reads_the_object_again() -> None:
    harbour = Harbour(held=boat(version=5), refuses=ConflictError("newer"))
    run, cache = executor(Captain(), harbour, boat())
    assert (await run.run(key())).ending == "Conflict"
    assert cache.get(key()) == boat(version=5)


async def test_a_conflict_over_an_object_that_is_gone_forgets_it() -> None:
    captain = Captain()
    run, cache = executor(captain, Harbour(refuses=ConflictError("gone")), boat())
    assert await run.run(key()) == Passed(ending="Gone", requeue_after=0.0)
    assert cache.get(key()) is None
    assert await run.run(key()) == Passed(ending="Gone")
    assert captain.forgot == [key()]


async def test_an_action_that_lost_a_race_refreshes_the_object() -> None:
    harbour = Harbour(held=boat(version=5))
    run, cache = executor(Captain(does=[ConflictError("newer")]), harbour, boat())
    assert (await run.run(key())).ending == "Failed"
    assert cache.get(key()) == boat(version=5)


async def test_an_event_that_cannot_be_posted_undoes_nothing() -> None:
    harbour = Harbour(refuses_notes=UnavailableError("down"))
    captain = Captain(verdict=Verdict(status={"phase": "Sailing"}, notes=(NOTE,)))
    assert (await passed(captain, harbour)).ending == "Done"
    assert harbour.statuses == [{"phase": "Sailing"}]


async def test_nobody_learns_the_version_after_a_refused_write() -> None:
    run, cache = executor(Captain(), Harbour(refuses=UnavailableError("down")), boat())
    assert (await run.run(key())).ending == "Failed"
    assert cache.get(key()) == boat()
