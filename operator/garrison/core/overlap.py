"""Going on with a stream that broke, without telling anything twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def fresh(kept: Sequence[T], again: Sequence[T]) -> Sequence[T]:
    """Return what of ``again`` is new after ``kept``, the newest lines that were seen before.

    ``again`` starts with the end of ``kept`` as far as that is still there; equal lines are taken
    for the same as often as they can be.
    """
    for length in range(min(len(kept), len(again)), 0, -1):
        if list(kept[-length:]) == list(again[:length]):
            return again[length:]
    return again


def unseen(kept: Sequence[T], again: Sequence[T]) -> Sequence[T]:
    """Return what of ``again`` is not in ``kept``: for what is told anew in any order."""
    return [each for each in again if each not in kept]
