"""Waiting for what a server does in its own time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 40
PAUSE_SECONDS = 0.05


async def eventually(look: Callable[[], Awaitable[T]], is_so: Callable[[T], object]) -> T:
    """Return the first answer that is so; TimeoutError when none comes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = await look()
            if is_so(answer):
                return answer
            await asyncio.sleep(PAUSE_SECONDS)


def gone(answer: object) -> bool:
    return answer is None
