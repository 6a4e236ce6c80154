"""Numbers for deployments, which their owner chooses and never uses twice."""

from __future__ import annotations

from garrison.ports.clock import Clock


class Numbering:
    """Numbers from the clock, in milliseconds, as wallets take them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> str:
        """Return a number later than any before."""
        now = int(self._clock.now().timestamp() * 1000)
        self._last = max(now, self._last + 1)
        return str(self._last)


def number_of(deployment_id: str) -> int | None:
    """Return a deployment's number, None when the text is none."""
    sound = deployment_id.isascii() and deployment_id.isdecimal() and len(deployment_id) < 20
    return int(deployment_id) or None if sound else None
