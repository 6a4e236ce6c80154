"""Locks between processes, so that two callers do not build the same thing twice."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from devenv.errors import DevenvError

_POLL_SECONDS = 0.1


def _ignore() -> None:
    pass


@asynccontextmanager
async def locked(
    path: Path, *, limit_seconds: float = 1800, on_wait: Callable[[], None] = _ignore
) -> AsyncIterator[None]:
    """Hold the lock file ``path``; the system frees it when the holder dies.

    ``on_wait`` is called once when somebody else holds it. Raises DevenvError after the limit.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        if not _try_lock(file):
            on_wait()
            await _wait(file, path, limit_seconds)
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _wait(file: IO[str], path: Path, limit_seconds: float) -> None:
    try:
        async with asyncio.timeout(limit_seconds):
            while not _try_lock(file):  # noqa: ASYNC110 -- flock cannot be awaited
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise DevenvError(
            f"{path} has been locked by another process for {limit_seconds:.0f} s; "
            "end the other build and try again"
        ) from None
