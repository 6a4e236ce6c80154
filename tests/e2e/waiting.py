"""Waiting for what real processes do in their own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.2


async def eventually(
    what: str,
    look: Callable[[], Awaitable[T]],
    is_so: Callable[[T], object] = bool,
    *,
    limit_seconds: float = PATIENCE_SECONDS,
) -> T:
    """Return the first answer that is so; AssertionError with the last one when none comes."""
    deadline = time.monotonic() + limit_seconds
    while True:
        answer = await look()
        if is_so(answer):
            return answer
        assert time.monotonic() < deadline, f"never {what}; the last look: {answer}"
        await asyncio.sleep(PAUSE_SECONDS)
