"""The machine's own clock and randomness."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


class SystemClock:
    """The wall clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SystemChance:
    """Randomness of the operating system."""

    def fraction(self) -> float:
        return secrets.randbits(53) / (1 << 53)

    def token(self) -> str:
        return secrets.token_hex(16)
