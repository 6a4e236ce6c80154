"""How long a service that asked for fewer calls is left alone."""

from __future__ import annotations

LEAST_SECONDS = 1.0
MOST_SECONDS = 60.0
"""For a service that does not say how long."""


class Cooldown:
    """Counts refusals in a row. Moments are seconds of the event loop's time."""

    def __init__(self) -> None:
        self._until = 0.0
        self._refusals = 0

    def left(self, now: float) -> float:
        """Return how many seconds nothing may be sent, 0 when it may."""
        return max(0.0, self._until - now)

    def refused(self, now: float, asked: float | None) -> float:
        """Wait as long as was asked for, else twice as long as last time; return the seconds."""
        doubled = LEAST_SECONDS * 2.0 ** min(self._refusals, 10)
        seconds = asked if asked is not None else min(doubled, MOST_SECONDS)
        self._refusals += 1
        self._until = max(self._until, now + seconds)
        return self._until - now

    def served(self) -> None:
        """Forget the refusals: a call was answered."""
        self._refusals = 0
