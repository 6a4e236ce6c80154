"""A limit on requests per second."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateLimit:
    """A token bucket that holds two seconds' worth; a rate of 0 lets everything pass."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._size = max(1.0, per_second * 2)
        self._clock = clock
        self._left = self._size
        self._at = clock()

    def admits(self) -> bool:
        """Return whether a request may pass now, and count it."""
        if not self._rate:
            return True
        now = self._clock()
        self._left = min(self._size, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
