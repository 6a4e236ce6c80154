"""A workload's leases as a game: the ledger is written first, then acted on, whatever happens."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.api.lease import BenchmarkStatus, Lease, LeaseFailure
from garrison.api.workload import (
    Benchmark,
    Blame,
    FailureStatus,
    ReplicaStatus,
    Workload,
    WorkloadStatus,
)
from garrison.core import blame
from garrison.core.fleet import Fleet, FleetView, fleet
from garrison.core.rollout import SURGE
from tests.builders import NOW, at, lease, workload

ENTRY = ReplicaStatus(name="chat-1", revision="new")
PATIENCE = 400


def status(*entries: ReplicaStatus, **fields: Any) -> WorkloadStatus:
    return WorkloadStatus(leases=entries, accepted_revision="new", **fields)


def failed(name: str, provider: str, fault: Blame = "Undecided", **fields: Any) -> Lease:
    failure = LeaseFailure(reason="Unhealthy", blame=fault, at=fields.pop("when", NOW))
    return lease(
        "Failed",
        name=name,
        uid=f"uid-{name}",
        revision="new",
        provider=provider,
        failure=failure,
        closed_at=NOW,
        **fields,
    )


def planned(of: Workload, *leases: Lease, gone: tuple[str, ...] = (), now: datetime = NOW) -> Fleet:
    view = FleetView(leases={each.meta.name: each for each in leases}, gone=frozenset(gone))
    return fleet(of, view, target="new", now=now)


def test_a_name_is_written_before_its_object_is_created() -> None:
    first = planned(workload())
    assert (len(first.ledger), first.create, first.sequence) == (1, (), 1)
    second = planned(
        workload(status=status(*first.ledger, sequence=1)), gone=(first.ledger[0].name,)
    )
    assert second.create == first.ledger
    assert second.ledger == first.ledger


def test_an_object_missing_from_the_cache_stays_in_the_ledger_until_a_fresh_read() -> None:
    there = replace(ENTRY, uid="u1", phase="Ready")
    held = planned(workload(status=status(there, sequence=1)))
    assert held.ledger[0] == there
    lost = planned(workload(status=status(there, sequence=1)), gone=("chat-1",))
    assert "chat-1" not in {each.name for each in lost.ledger}


def test_nothing_is_wanted_before_a_revision_was_accepted() -> None:
    found = fleet(workload(), FleetView(leases={}), target=None, now=NOW)
    assert (found.ledger, found.create, found.sequence) == ((), (), 0)


def test_a_lease_that_nobody_wrote_down_is_deleted() -> None:
    stray = lease("Ready", name="stray", revision="new", uid="u9")
    assert planned(workload(), stray).delete == (("stray", "u9"),)


def test_a_failed_lease_stays_until_its_failure_is_written_down() -> None:
    entry = replace(ENTRY, uid="uid-chat-1")
    bad = failed("chat-1", "p1")
    first = planned(workload(status=status(entry, sequence=1)), bad)
    assert [each.lease for each in first.failures] == ["uid-chat-1"]
    assert ("chat-1", "uid-chat-1") not in first.delete
    noted = status(entry, sequence=1, failures=first.failures)
    assert ("chat-1", "uid-chat-1") in planned(workload(status=noted), bad).delete


@pytest.mark.parametrize(
    ("blames", "count"),
    [(("Undecided",), 1), (("Undecided", "Undecided"), 2), (("Provider", "Undecided"), 1)],
)
def test_faults_of_providers_cost_no_pause(blames: tuple[Blame, ...], count: int) -> None:
    names = [f"chat-{number}" for number in range(len(blames))]
    entries = [ReplicaStatus(name=name, revision="new", uid=f"uid-{name}") for name in names]
    bad = [failed(name, name, fault) for name, fault in zip(names, blames, strict=True)]
    found = planned(workload(status=status(*entries, sequence=9)), *bad)
    assert found.failures_since_ready == count


def test_the_second_failure_makes_the_next_attempt_wait() -> None:
    entries = [
        ReplicaStatus(name=name, revision="new", uid=f"uid-{name}") for name in ("chat-1", "chat-2")
    ]
    before = workload(status=status(*entries, sequence=2))
    bad = (failed("chat-1", "p1"), failed("chat-2", "p2"))
    paused = planned(before, *bad)
    assert paused.next_attempt_at == at(30)
    assert [each.revision for each in paused.ledger] == ["new", "new"]
    assert paused.requeue == 30.0
    noted = status(
        *entries,
        sequence=2,
        failures=paused.failures,
        failures_since_ready=2,
        next_attempt_at=paused.next_attempt_at,
    )
    assert len(planned(workload(status=noted), *bad, now=at(29)).ledger) == 2
    assert len(planned(workload(status=noted), *bad, now=at(30)).ledger) == 3


def test_a_blamed_revision_is_given_up_after_its_attempts() -> None:
    spent = tuple(
        FailureStatus(
            lease=f"u{number}",
            revision="new",
            provider=f"p{number % 2}",
            reason="Unhealthy",
            blame="Revision",
            at=at(number),
        )
        for number in range(6)
    )
    over = workload(status=status(failures=spent, sequence=6, failures_since_ready=6))
    assert planned(over, now=at(10**6)).ledger == ()


STRICT = Benchmark(api="OpenAI", min_tokens_per_second=66)


def measured(name: str, rate: int, *, second: float = 0) -> Lease:
    """A Ready replica at a provider named after it, with the verdict of its newest benchmark."""
    figures = BenchmarkStatus(
        passed=rate >= 66,
        tokens_per_second=f"{rate}.0",
        time_to_first_token_milliseconds=1,
        requests=4 if rate else 0,
        message="no token came" if not rate else "",
        at=at(second),
    )
    return lease(
        "Ready",
        name=name,
        uid=f"uid-{name}",
        revision="new",
        provider=f"at-{name}",
        benchmark=figures,
    )


def held(*names: str, replicas: int = 1, spec: Benchmark = STRICT, **fields: Any) -> Workload:
    """A workload with thresholds and these replicas."""
    entries = [ReplicaStatus(name=each, revision="new", uid=f"uid-{each}") for each in names]
    return workload(
        status=status(*entries, sequence=9, **fields), replicas=replicas, benchmark=spec
    )


@pytest.mark.parametrize(("rate", "reason"), [(65, "BenchmarkFailed"), (0, "BenchmarkNoAnswer")])
def test_what_fails_a_repeat_serves_on_until_a_successor_elsewhere_is_ready(
    rate: int, reason: str
) -> None:
    slow = measured("chat-1", rate)
    first = planned(held("chat-1"), slow, now=at(86400))
    assert ([each.reason for each in first.failures], first.delete) == ([reason], ())
    assert first.failures[0].blame == "Undecided"
    assert first.excluded == ("at-chat-1",)
    assert len(first.ledger) == 2
    noted = _noted(first)
    coming = lease("Benchmarking", name="chat-2", uid="uid-chat-2", revision="new")
    waiting = planned(held("chat-1", "chat-2", **noted), slow, coming)
    assert (waiting.delete, len(waiting.ledger)) == ((), 2)
    there = planned(held("chat-1", "chat-2", **noted), slow, measured("chat-2", 70))
    assert there.delete == (("chat-1", "uid-chat-1"),)
    assert [each.blame for each in there.failures] == ["Provider"]


def test_a_failed_repeat_is_held_against_its_provider_once() -> None:
    first = planned(held("chat-1"), measured("chat-1", 65))
    noted = held("chat-1", failures=first.failures, failures_since_ready=1)
    again = planned(noted, measured("chat-1", 60, second=21600), now=at(21600))
    assert (again.failures, again.failures_since_ready) == (first.failures, 1)


@pytest.mark.parametrize(
    ("spec", "rate"),
    [
        pytest.param(STRICT, 66, id="a later repeat passes"),
        pytest.param(
            Benchmark(api="OpenAI", min_tokens_per_second=65), 65, id="the threshold is lowered"
        ),
        pytest.param(Benchmark(), 0, id="nothing is measured any more"),
    ],
)
def test_what_is_as_asked_again_stays_and_nothing_is_held_against_it(
    spec: Benchmark, rate: int
) -> None:
    failures = planned(held("chat-1"), measured("chat-1", 65)).failures
    of = held("chat-1", "chat-2", spec=spec, failures=failures, failures_since_ready=1)
    coming = lease("Deploying", name="chat-2", uid="uid-chat-2", revision="new")
    found = planned(of, measured("chat-1", rate), coming, now=at(3600))
    assert (found.failures, found.failures_since_ready, found.excluded) == ((), 0, ())
    assert found.delete == (("chat-2", "uid-chat-2"),)


def test_successors_of_what_nothing_can_replace_are_ordered_with_pauses_and_in_the_end_not() -> (
    None
):
    slow = measured("chat-1", 65)
    of, now, ordered = held("chat-1"), NOW, 0
    for number in range(2, 40):
        moves = planned(of, slow, now=now)
        assert moves.delete == ()
        now += timedelta(seconds=blame.PAUSE_CAP)
        fresh = [each for each in moves.ledger if each.uid is None]
        if not fresh:
            of = held("chat-1", **_noted(moves))
            continue
        ordered += 1
        name = f"chat-{number}"
        dead = failed(name, f"at-{name}", when=now)
        dead_failure = replace(dead.status.failure, reason="BenchmarkFailed")  # type: ignore[type-var]
        dead = replace(dead, status=replace(dead.status, failure=dead_failure))
        after = planned(held("chat-1", name, **_noted(moves)), slow, dead, now=now)
        of = held("chat-1", **_noted(after))
    assert ordered == blame.MAX_ATTEMPTS - 1, "the one that serves has used up an attempt itself"
    assert blame.is_blamed(moves.failures, "new")


def _noted(moves: Fleet) -> dict[str, Any]:
    return {
        "failures": moves.failures,
        "failures_since_ready": moves.failures_since_ready,
        "next_attempt_at": moves.next_attempt_at,
    }


def test_nothing_is_retired_before_its_failure_is_written_down() -> None:
    leases = measured("chat-1", 65), measured("chat-2", 70)
    first = planned(held("chat-1", "chat-2"), *leases)
    assert first.delete == ()
    noted = held("chat-1", "chat-2", failures=first.failures)
    assert planned(noted, *leases).delete == (("chat-1", "uid-chat-1"),)


class Game:
    """One workload and a market that does anything; what is observed may be stale."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.workload = workload(
            status=status(), replicas=self.dice.randint(0, 4), benchmark=STRICT
        )
        self.objects: dict[str, Lease] = {}
        self.before: dict[str, Lease] = {}
        self.seen: dict[str, Lease] = {}
        self.used: set[str] = set()
        self.target = "r0"
        self.now = NOW
        self.calm = False

    def play(self) -> bool:
        """Let one pass happen and say whether it changed anything."""
        waits = [blame.PAUSE_CAP] if self.calm else [0.1, 5, 60, blame.PAUSE_CAP]
        self.now += timedelta(seconds=self.dice.choice(waits))
        if not self.calm:
            self._person_edits()
        moves = fleet(self.workload, self._seen(), target=self.target, now=self.now)
        self._check(moves)
        self._act(moves)
        before = self.workload.status
        self.workload = replace(
            self.workload,
            status=replace(
                before,
                leases=moves.ledger,
                sequence=moves.sequence,
                failures=moves.failures,
                failures_since_ready=moves.failures_since_ready,
                next_attempt_at=moves.next_attempt_at,
            ),
        )
        moved = [self._market(name) for name in sorted(self.objects)]
        return any(moved) or self.workload.status != before

    def _person_edits(self) -> None:
        if self.dice.random() < 0.1:
            spec = replace(self.workload.spec, replicas=self.dice.randint(0, 4))
            self.workload = replace(self.workload, spec=spec)
        if self.dice.random() < 0.05:
            self.target = f"r{self.dice.randint(0, 3)}"

    def _seen(self) -> FleetView:
        """What the cache holds: the ledger's names are read afresh, their contents may be old."""
        names = {each.name for each in self.workload.status.leases}
        known = dict(self.objects)
        if not self.calm:
            known |= {name: old for name, old in self.before.items() if self.dice.random() < 0.2}
        self.before = dict(self.objects)
        self.seen = known
        return FleetView(leases=known, gone=frozenset(names - known.keys()))

    def _check(self, moves: Fleet) -> None:
        written = {each.name for each in self.workload.status.leases}
        for each in moves.create:
            assert each.name in written, "created before it was written down"
            assert each.name not in self.used, "a name was used twice"

        assert self._serve(names={name for name, _ in moves.delete}) >= min(
            self._serve(), self.workload.spec.replicas
        ), "what serves was closed before enough others did"

    def _serve(self, names: Collection[str] = ()) -> int:
        """How many serve, but for those of these names."""
        return sum(
            each.status.phase == "Ready" and each.status.failure is None and not each.meta.deleting
            for name, each in self.seen.items()
            if name not in names
        )

    def _act(self, moves: Fleet) -> None:
        for name, uid in moves.delete:
            if name in self.objects and self.objects[name].meta.uid == uid:
                of = self.objects[name]
                self.objects[name] = replace(of, meta=replace(of.meta, deleting=True))
        for each in moves.create:
            self.used.add(each.name)
            self.objects[each.name] = lease(
                name=each.name, uid=f"uid-{each.name}", revision=each.revision
            )

    def _market(self, name: str) -> bool:
        """One lease moves on, or its provider fails."""
        of = self.objects[name]
        over = of.status.closed_at is not None
        if of.meta.deleting and over:
            del self.objects[name]
            return True
        if of.meta.deleting or of.status.failure is not None:
            if over:
                return False
            return self._set(name, phase="Failed", closed_at=self.now)
        if not self.calm and self.dice.random() < 0.15:
            fault: Blame = self.dice.choice(["Provider", "Undecided", "Nobody"])
            failure = LeaseFailure(reason="Unhealthy", blame=fault, at=self.now)
            return self._set(name, failure=failure)
        if of.status.phase == "Ready":
            return not self.calm and self.dice.random() < 0.3 and self._measured(name)
        self._set(name, phase="Ready", provider=f"p{self.dice.randint(1, 3)}")
        return self._measured(name, rate=70)

    def _measured(self, name: str, rate: int | None = None) -> bool:
        """A benchmark ends: the first one is passed, or the replica would not be Ready."""
        found = measured(name, self.dice.choice([70, 65, 0]) if rate is None else rate)
        figures = found.status.benchmark
        assert figures is not None
        return self._set(name, benchmark=replace(figures, at=self.now))

    def _set(self, name: str, **fields: Any) -> bool:
        of = self.objects[name]
        self.objects[name] = replace(of, status=replace(of.status, **fields))
        return True

    @property
    def open(self) -> int:
        return sum(each.status.closed_at is None for each in self.objects.values())


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_the_fleet_never_doubles_and_comes_to_rest_where_it_was_wanted(seed: int) -> None:
    game = Game(seed)
    for _ in range(60):
        most = max(game.open, game.workload.spec.replicas + SURGE)
        game.play()
        assert game.open <= most
    game.calm = True
    game.target = "fresh"
    for _ in range(PATIENCE):
        if not game.play():
            break
    ready = [each for each in game.objects.values() if each.status.phase == "Ready"]
    assert [each.spec.revision for each in ready] == ["fresh"] * game.workload.spec.replicas
    assert len(game.objects) == len(ready) == len(game.workload.status.leases)
    quiet = fleet(game.workload, game._seen(), target="fresh", now=game.now)
    assert (quiet.create, quiet.delete) == ((), ())
    assert quiet.ledger == game.workload.status.leases
