"""Scaling, rolling and replacing, as a game against a market that may do anything."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from garrison.core.rollout import SURGE, View, rollout


def view(name: str, revision: str = "new", **fields: Any) -> View:
    base = View(
        name=name, revision=revision, ready=True, leaving=False, open=True, order=int(name[1:])
    )
    return replace(base, **fields)


def test_creates_what_is_missing() -> None:
    moves = rollout([view("l1")], replicas=3, target="new", may_create=True)
    assert (moves.create, moves.retire) == (2, ())


def test_creates_nothing_while_it_may_not() -> None:
    assert rollout([], replicas=3, target="new", may_create=False).create == 0


def test_scales_down_those_that_do_not_serve_first_then_the_newest() -> None:
    leases = [view("l1"), view("l2"), view("l3"), view("l4", ready=False)]
    assert rollout(leases, replicas=2, target="new", may_create=True).retire == ("l4", "l3")


def test_rolls_with_one_lease_of_surge_and_retires_only_for_a_ready_successor() -> None:
    old = [view("l1", "old"), view("l2", "old")]
    first = rollout(old, replicas=2, target="new", may_create=True)
    assert (first.create, first.retire) == (1, ())
    coming = rollout([*old, view("l3", ready=False)], replicas=2, target="new", may_create=True)
    assert (coming.create, coming.retire) == (0, ())
    there = rollout([*old, view("l3")], replicas=2, target="new", may_create=True)
    assert (there.create, there.retire) == (0, ("l1",))


def test_a_failing_lease_is_replaced_before_its_close_is_verified_within_the_surge() -> None:
    leaving = [view(f"l{n}", ready=False, leaving=True) for n in range(1, 4)]
    assert rollout(leaving, replicas=3, target="new", may_create=True).create == 1


def test_an_outgoing_lease_serves_until_its_successor_does() -> None:
    notice = view("l1", outgoing=True)
    moves = rollout([notice], replicas=1, target="new", may_create=True)
    assert (moves.create, moves.retire) == (1, ())
    coming = [notice, view("l2", ready=False)]
    moves = rollout(coming, replicas=1, target="new", may_create=True)
    assert (moves.create, moves.retire) == (0, ())
    assert rollout([notice, view("l2")], replicas=1, target="new", may_create=True).retire == (
        "l1",
    )


def test_a_successor_is_not_needed_any_more_when_the_old_one_may_stay() -> None:
    leases = [view("l1"), view("l2", ready=False)]
    assert rollout(leases, replicas=1, target="new", may_create=True).retire == ("l2",)


def test_outgoing_leases_are_replaced_one_by_one() -> None:
    both = [view("l1", outgoing=True), view("l2", outgoing=True)]
    assert rollout(both, replicas=2, target="new", may_create=True).create == 1
    moves = rollout([*both, view("l3")], replicas=2, target="new", may_create=True)
    assert (moves.create, moves.retire) == (0, ("l1",))


def test_a_dead_replica_falls_back_while_the_target_is_to_blame() -> None:
    left = [view("l1", "old")]
    moves = rollout(left, replicas=2, target="new", may_create=False, fallback="old")
    assert (moves.create_fallback, moves.create, moves.retire) == (1, 0, ())
    coming = [*left, view("l2", "old", ready=False)]
    assert rollout(coming, replicas=2, target="new", may_create=False, fallback="old").retire == ()


def test_wants_nothing_for_zero_replicas() -> None:
    moves = rollout([view("l1"), view("l2", "old")], replicas=0, target="new", may_create=True)
    assert (moves.create, sorted(moves.retire)) == (0, ["l1", "l2"])


@given(seed=st.integers(0, 2**32), replicas=st.integers(0, 4), start=st.integers(0, 5))
def test_converges_within_the_surge_and_never_serves_from_fewer_than_it_must(
    seed: int, replicas: int, start: int
) -> None:
    dice = random.Random(seed)
    leases = [
        view(f"l{n}", dice.choice(["old", "new"]), outgoing=dice.random() < 0.3)
        for n in range(start)
    ]
    number = start
    for _ in range(200):
        moves = rollout(leases, replicas=replicas, target="new", may_create=True)
        served = sum(each.ready for each in leases)
        kept = [_left(each) if each.name in moves.retire else each for each in leases]
        assert sum(each.ready for each in kept) >= min(served, replicas)
        added = range(number, number + moves.create)
        kept += [view(f"l{n}", ready=False) for n in added]
        number += moves.create
        assert moves.create == 0 or sum(each.open for each in kept) <= replicas + SURGE
        if kept == leases and all(each.ready and not each.leaving for each in leases):
            break
        leases = _market_moves(kept, dice)
    final = [each for each in leases if not each.leaving]
    assert [each.revision for each in final] == ["new"] * replicas
    assert all(each.ready and not each.outgoing for each in final)


def _left(each: View) -> View:
    return replace(each, leaving=True, ready=False)


def _market_moves(leases: list[View], dice: random.Random) -> list[View]:
    moved = []
    for each in leases:
        if each.leaving:
            if dice.random() < 0.5:
                continue
        elif not each.ready and dice.random() < 0.5:
            moved.append(replace(each, ready=True))
            continue
        moved.append(each)
    return moved
