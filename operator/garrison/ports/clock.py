"""Time and chance, as things that are passed in."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The wall clock in UTC. Durations of waits come from the event loop."""

    def now(self) -> datetime: ...


class Chance(Protocol):
    """Randomness: ``fraction`` is uniform in [0, 1), ``token`` is 128 bits in hex."""

    def fraction(self) -> float: ...

    def token(self) -> str: ...
