"""Faults switched on by request: the market's and the network's bad days."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True, kw_only=True)
class Faults:
    """What goes wrong at the moment. ``error_count`` and ``drop_answers`` count down to zero."""

    bids_off: bool = False
    latency_ms: int = 0
    error_code: int = 500
    error_count: int = 0
    hang_seconds: float = 0.0
    drop_answers: int = 0

    def take_error(self) -> int | None:
        """Return the status code that this request must fail with, None when it may pass."""
        if self.error_count <= 0:
            return None
        self.error_count -= 1
        return self.error_code

    def take_drop(self) -> bool:
        """Return whether the answer to this write must never arrive."""
        if self.drop_answers <= 0:
            return False
        self.drop_answers -= 1
        return True

    async def hang(self) -> None:
        """Keep the request waiting for as long as is switched on when it arrives."""
        if self.hang_seconds > 0:
            await asyncio.sleep(self.hang_seconds)

    def reset(self) -> None:
        """Switch everything off."""
        fresh = Faults()
        for name, value in asdict(fresh).items():
            setattr(self, name, value)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
