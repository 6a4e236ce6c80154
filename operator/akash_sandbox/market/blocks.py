"""Block heights as a function of time."""

from __future__ import annotations

from dataclasses import dataclass

NOMINAL_SECONDS = 6
"""Prices per hour become prices per block of this length, whatever the real block time is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """A chain that makes a block every ``seconds`` since ``genesis`` (Unix seconds)."""

    genesis: float
    seconds: float

    def height(self, now: float) -> int:
        """Return the newest block's height, 1 at genesis."""
        return 1 + max(0, int((now - self.genesis) / self.seconds))


def per_block(micro_usd_per_hour: int) -> int:
    """Return a price per hour as uact per block, rounded up, at least 1."""
    return max(1, -(-micro_usd_per_hour * NOMINAL_SECONDS // 3600))
