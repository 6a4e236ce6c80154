"""A stream that broke goes on without a line twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.core.overlap import fresh, unseen

TEXTS = st.lists(st.sampled_from("ab"), max_size=12)


@pytest.mark.parametrize(
    ("kept", "again", "new"),
    [
        ("", "abc", "abc"),
        ("abc", "abc", ""),
        ("abc", "abcd", "d"),
        ("abc", "bcd", "d"),
        ("abc", "xyz", "xyz"),
        ("abc", "", ""),
        ("aab", "abcd", "cd"),
    ],
)
def test_what_is_new(kept: str, again: str, new: str) -> None:
    assert list(fresh(list(kept), list(again))) == list(new)


@given(TEXTS, st.integers(0, 12), TEXTS)
def test_nothing_that_was_seen_is_seen_again(kept: list[str], lost: int, new: list[str]) -> None:
    """With lines that differ, exactly the new ones are left, however much has been forgotten."""
    numbered = [f"{number}{text}" for number, text in enumerate(kept)]
    lines = [f"+{number}{text}" for number, text in enumerate(new)]
    assert list(fresh(numbered, [*numbered[lost:], *lines])) == lines


@given(TEXTS, TEXTS)
def test_what_is_left_is_the_end(kept: list[str], again: list[str]) -> None:
    left = list(fresh(kept, again))
    assert again[len(again) - len(left) :] == left


def test_what_is_told_in_another_order_is_not_new() -> None:
    assert list(unseen("abc", "cabda")) == ["d"]
