"""What a lease's record makes of what its guard says: levels, counters, pools, and who came in beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from garrison.api.egress import EgressPolicySpec, Level
from garrison.api.lease import LeaseEgress
from garrison.core.egress import (
    MAX_DENIED,
    acknowledged,
    in_force,
    shortfall,
    still_connected,
)
from garrison.ports.sentinel import Denied, EgressView
from tests.builders import NOW, at

HUB = Denied(
    destination="hub.example",
    port=443,
    protocol="tcp",
    process="/bin/a",
    count=9,
    last_seen=NOW,
)
POOL = replace(HUB, destination="pool.example", count=1, mining="pool-name")
RECORD = LeaseEgress(digest="a" * 64, version=1)
VIEW = EgressView(version=1, level="Enforced", rung="strict", denied_total=10, denied=(HUB, POOL))


def destinations(record: LeaseEgress) -> list[str]:
    return [each.destination for each in record.denied]


def test_pools_come_first() -> None:
    assert destinations(acknowledged(RECORD, VIEW, NOW)) == ["pool.example", "hub.example"]


def test_a_flood_of_other_names_hides_no_pool() -> None:
    others = tuple(replace(HUB, destination=f"n{n}.example") for n in range(2 * MAX_DENIED))
    found = acknowledged(RECORD, replace(VIEW, denied=(*others, POOL)), NOW)
    assert len(found.denied) == MAX_DENIED
    assert found.denied[0].mining == "pool-name"


def test_a_new_pool_is_written_at_once_and_other_counts_once_a_minute() -> None:
    first = acknowledged(RECORD, replace(VIEW, denied=(HUB,)), NOW)
    more = replace(VIEW, denied_total=11, denied=(replace(HUB, count=10),))
    assert acknowledged(first, more, at(5)) == first
    assert acknowledged(first, more, at(60)).denied_total == 11
    mined = replace(more, denied=(*more.denied, POOL))
    found = acknowledged(first, mined, at(5))
    assert destinations(found) == ["pool.example", "hub.example"]
    second = replace(POOL, destination="other-pool.example")
    again = replace(mined, denied_total=12, denied=(*mined.denied, second))
    assert "other-pool.example" in destinations(acknowledged(found, again, at(6)))


def test_putting_a_policy_in_force_keeps_what_was_counted() -> None:
    """The answer to a new policy says nothing of denials: taken for none, a counter would fall."""
    known = acknowledged(RECORD, VIEW, NOW)
    wanted = replace(known, version=2)
    after = in_force(wanted, EgressView(version=2, level="Enforced", rung="strict"))
    assert (after.in_force, after.denied_total, after.denied) == (2, 10, known.denied)


@pytest.mark.parametrize(
    ("level", "shown"),
    [("Enforced", "BestEffort"), ("DeclaredOnly", "DeclaredOnly"), ("Refused", "Refused")],
)
def test_who_came_in_beside_the_guard_lowers_the_level(level: Level, shown: str) -> None:
    view = replace(VIEW, level=level, leaks=("udp",))
    found = in_force(RECORD, view, ("/bin/sh",))
    assert found.level == shown
    assert found.leaks == ("/bin/sh was started from outside the container", "udp")
    assert in_force(RECORD, view).level == level


def test_connections_that_live_on_lower_the_level_and_are_named() -> None:
    many = tuple(f"203.0.113.{number}:443" for number in range(7))
    for level in ("Enforced", "BestEffort"):
        found = in_force(RECORD, replace(VIEW, level=level, remaining=many), ("/bin/sh",))
        assert found.level == "BestEffort"
        assert found.leaks[0] == still_connected(found)
        assert found.leaks[0].endswith("203.0.113.4:443 and 2 more")
    assert still_connected(in_force(RECORD, VIEW)) == ""
    assert still_connected(None) == ""


@pytest.mark.parametrize(
    ("changes", "enough"),
    [
        ({}, True),
        ({"level": "BestEffort", "remaining": ("203.0.113.7:443",)}, True),
        ({"level": "BestEffort", "remaining": ("203.0.113.7:443",), "leaks": ("udp",)}, False),
        ({"level": "BestEffort"}, False),
        ({"level": "DeclaredOnly", "remaining": ("203.0.113.7:443",)}, False),
        ({"level": "Refused"}, False),
    ],
)
def test_a_machine_is_left_for_what_it_cannot_do_and_not_for_what_a_program_holds_on_to(
    changes: dict[str, Any], *, enough: bool
) -> None:
    assert (shortfall(EgressPolicySpec(), replace(VIEW, **changes)) == "") is enough


def test_what_a_rung_does_not_do_is_kept() -> None:
    limit = "a connection that a new policy denies lives on until its process closes it"
    assert in_force(RECORD, replace(VIEW, limits=(limit,))).limits == (limit,)
    assert in_force(replace(RECORD, limits=(limit,)), VIEW).limits == ()
