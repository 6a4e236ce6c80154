"""Block heights as a function of time."""

from __future__ import annotations

from dataclasses import dataclass, replace

NOMINAL_SECONDS = 6
"""Prices per hour become prices per block of this length, whatever the real block time is."""
# A block's own time must not fall before it for want of floating-point digits.
_SLACK = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """A chain that makes a block every ``seconds`` since ``genesis`` (Unix seconds).

    Since ``halted`` it makes none, if that is set.
    """

    genesis: float
    seconds: float
    halted: float | None = None

    def height(self, now: float) -> int:
        """Return the newest block's height, 1 at genesis."""
        until = now if self.halted is None else min(now, self.halted)
        return 1 + max(0, int((until - self.genesis) / self.seconds + _SLACK))

    def time(self, height: int) -> float:
        """Return when a block is made, in Unix seconds."""
        return self.genesis + (height - 1) * self.seconds

    def halt(self, now: float) -> Blocks:
        """Return the chain with no more blocks from now on."""
        return self if self.halted is not None else replace(self, halted=now)

    def resume(self, now: float) -> Blocks:
        """Return the chain that makes its next block soon; the time without blocks is left out."""
        if self.halted is None:
            return self
        return replace(self, genesis=self.genesis + max(0.0, now - self.halted), halted=None)


def per_block(micro_usd_per_hour: int) -> int:
    """Return a price per hour as uact per block, rounded up, at least 1."""
    return max(1, -(-micro_usd_per_hour * NOMINAL_SECONDS // 3600))
