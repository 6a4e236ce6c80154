"""Virtual time and repeatable chance."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class LoopClock:
    """The event loop's time as a date: ``epoch`` is when the clock was made.

    Under an event loop with virtual time, so is this clock.
    """

    def __init__(self, epoch: datetime = EPOCH) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoch = epoch
        self._started = self._loop.time()
        self._read = (self._started, epoch)

    def now(self) -> datetime:
        seconds = self._loop.time()
        if seconds != self._read[0]:
            self._read = seconds, self._epoch + timedelta(seconds=seconds - self._started)
        return self._read[1]


class ManualClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, epoch: datetime = EPOCH) -> None:
        self._now = epoch

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by


class SeededChance:
    """The same numbers for the same seed."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, never a secret

    def fraction(self) -> float:
        return self._random.random()

    def token(self) -> str:
        return f"{self._random.getrandbits(128):032x}"
