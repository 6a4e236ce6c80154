"""Which nodes may be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.adapters.akash.chain.health import (
    MAX_AGE,
    MAX_AHEAD,
    MAX_LAG,
    REST_SECONDS,
    Head,
    Health,
    believed_height,
    complaint,
    report,
    rest_seconds,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def heads(*heights: int) -> list[Head]:
    return [Head(height=each, time=NOW) for each in heights]


@pytest.mark.parametrize(
    ("heights", "expected"), [((), 0), ((7,), 7), ((7, 9), 7), ((9_000_000, 100, 99), 100)]
)
def test_one_node_alone_does_not_move_the_height(heights: tuple[int, ...], expected: int) -> None:
    assert believed_height(heads(*heights)) == expected


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (Head(height=100, time=NOW), ""),
        (Head(height=100 - MAX_LAG, time=NOW), ""),
        (Head(height=99 - MAX_LAG, time=NOW), "behind the others"),
        (Head(height=90, time=NOW), "before a block that was seen"),
        (Head(height=100, time=NOW - MAX_AGE), ""),
        (Head(height=100, time=NOW - MAX_AGE - SECOND), "s old"),
        (Head(height=100, time=NOW + MAX_AHEAD), ""),
        (Head(height=100, time=NOW + MAX_AHEAD + SECOND), "in the future"),
        (None, "not answered yet"),
    ],
)
def test_a_complaint_says_what_is_wrong(head: Head | None, says: str) -> None:
    health = Health(url="https://node", head=head)
    found = complaint(health, believed=100, floor=93, now=NOW)
    assert (says in found) if says else (found == "")
    assert report(health, believed=100, floor=93, now=NOW).usable is (not says)


def test_a_report_has_height_and_lag() -> None:
    found = report(
        Health(url="https://node", head=Head(height=98, time=NOW)), believed=100, floor=0, now=NOW
    )
    assert (found.height, found.lag, found.message) == (98, 2, "")


@given(st.integers(min_value=1, max_value=100))
def test_rest_grows_and_ends(failures: int) -> None:
    assert rest_seconds(failures) <= rest_seconds(failures + 1) <= REST_SECONDS[-1]
