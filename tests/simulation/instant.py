"""An event loop that never waits: where nothing is left to run, it is at once the next timer's time."""

from __future__ import annotations

import asyncio
import selectors


class _Hourglass(selectors.SelectSelector):
    """Lets the time go by that the loop would wait. Nothing here waits for the outside world."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        self.now += timeout
        return []


class InstantLoop(asyncio.SelectorEventLoop):
    """Its time is virtual, begins at 0, and goes from timer to timer.

    Like looptime's, without the polls and idle rounds that let threads and sockets take part: a seed
    moves the time some ten thousand times.
    """

    def __init__(self) -> None:
        self._hourglass = _Hourglass()
        super().__init__(self._hourglass)

    def time(self) -> float:
        return self._hourglass.now
