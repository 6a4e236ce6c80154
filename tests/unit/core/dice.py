"""Random choices from a seed, which says them again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Draws. The rare is drawn seldom enough to leave the common in sight."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def one(self, of: Sequence[T]) -> T:
        """Return one of them."""
        return self._dice.choice(of)

    def rarely(self) -> bool:
        """Return True now and then."""
        return self._dice.random() < 0.15

    def seldom(self) -> bool:
        """Return True once in a while: for what would hide everything behind it."""
        return self._dice.random() < 0.04

    def mostly(self) -> bool:
        """Return False now and then."""
        return not self.rarely()
