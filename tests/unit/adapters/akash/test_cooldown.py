"""Refusals in a row, and how long a service is left alone after each."""

from __future__ import annotations

from garrison.adapters.akash.cooldown import MOST_SECONDS, Cooldown


def test_it_doubles_while_nobody_says_how_long() -> None:
    pause, now, waits = Cooldown(), 100.0, []
    for _ in range(9):
        waits.append(pause.refused(now, None))
        now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, MOST_SECONDS, MOST_SECONDS, MOST_SECONDS]


def test_what_is_asked_for_is_kept() -> None:
    pause = Cooldown()
    assert pause.refused(100.0, 300.0) == 300.0
    assert pause.left(250.0) == 150.0
    assert pause.left(400.0) == 0.0


def test_a_shorter_wish_does_not_end_a_longer_one() -> None:
    pause = Cooldown()
    pause.refused(100.0, 300.0)
    assert pause.refused(101.0, 1.0) == 299.0


def test_an_answer_ends_the_count() -> None:
    pause = Cooldown()
    pause.refused(0.0, None)
    pause.refused(1.0, None)
    pause.served()
    assert pause.refused(10.0, None) == 1.0
