"""A watch that is silently dead is noticed, an idle one is not."""

from __future__ import annotations

from garrison.runtime.canary import LIMIT_SECONDS, Canary
from tests.unit.runtime.objects import boat


class _Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_idle_watch_is_never_overdue() -> None:
    time = _Time()
    canary = Canary(time)
    canary.seen(boat(version=1))
    time.now += 1_000_000
    assert canary.overdue() == {}


def test_what_is_expected_and_does_not_come_is_overdue_after_the_limit() -> None:
    time = _Time()
    canary = Canary(time)
    canary.expect(boat(version=5))
    time.now += LIMIT_SECONDS
    assert canary.overdue() == {}
    time.now += 1
    assert canary.overdue() == {"Boat": LIMIT_SECONDS + 1}


def test_later_expectations_do_not_reset_the_clock() -> None:
    time = _Time()
    canary = Canary(time)
    canary.expect(boat(version=5))
    time.now += LIMIT_SECONDS
    canary.expect(boat(version=6))
    time.now += 1
    assert canary.overdue() == {"Boat": LIMIT_SECONDS + 1}


def test_a_newer_version_of_the_kind_answers_and_an_older_one_does_not() -> None:
    time = _Time()
    canary = Canary(time)
    canary.expect(boat(version=5))
    canary.seen(boat(version=4))
    canary.seen({**boat(version=9), "kind": "Crew"})
    time.now += LIMIT_SECONDS + 1
    assert set(canary.overdue()) == {"Boat"}
    canary.seen(boat("another", version=7))
    assert canary.overdue() == {}


def test_what_was_seen_already_is_not_expected() -> None:
    time = _Time()
    canary = Canary(time)
    canary.seen(boat(version=9))
    canary.seen(boat(version=3))
    canary.expect(boat("other", version=9))
    time.now += LIMIT_SECONDS + 1
    assert canary.overdue() == {}
