"""A workload's leases as a game: the ledger is written first, then acted on, whatever happens."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.api.lease import Lease, LeaseFailure
from garrison.api.workload import Blame, FailureStatus, ReplicaStatus, Workload, WorkloadStatus
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


class Game:
    """One workload and a market that does anything; what is observed may be stale."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.workload = workload(status=status(), replicas=self.dice.randint(0, 4))
        self.objects: dict[str, Lease] = {}
        self.before: dict[str, Lease] = {}
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
        return FleetView(leases=known, gone=frozenset(names - known.keys()))

    def _check(self, moves: Fleet) -> None:
        written = {each.name for each in self.workload.status.leases}
        for each in moves.create:
            assert each.name in written, "created before it was written down"
            assert each.name not in self.used, "a name was used twice"

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
            return False
        return self._set(name, phase="Ready", provider=f"p{self.dice.randint(1, 3)}")

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
