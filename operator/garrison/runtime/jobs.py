"""Slow work beside the passes: started by a pass, finished in the background, folded in by a later pass."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from garrison.api.meta import Key
from garrison.errors import GarrisonError

log = logging.getLogger("garrison.engine")

PARALLEL = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a job gave: ``value`` or ``error``."""

    value: object = None
    error: Exception | None = None


class Jobs:
    """At most one job per key and name; a finished one asks for a look at its key.

    At most ``parallel`` of a sort run at a time, which is their name's first word. So what waits for a
    stranger's machine or registry holds up its own sort only.
    """

    def __init__(self, wake: Callable[[Key], None], *, parallel: int = PARALLEL) -> None:
        self._wake = wake
        self._tasks: dict[tuple[Key, str], asyncio.Task[None]] = {}
        self._results: dict[tuple[Key, str], Result] = {}
        self._slots = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(parallel))

    def start(self, key: Key, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Start a job; its earlier result is dropped."""
        slot = (key, name)
        if slot in self._tasks:
            raise RuntimeError(f"job {name} of {key} is running already")
        self._results.pop(slot, None)
        self._tasks[slot] = asyncio.create_task(self._run(slot, work), name=f"{name} {key}")

    async def _run(self, slot: tuple[Key, str], work: Callable[[], Awaitable[object]]) -> None:
        try:
            async with self._slots[slot[1].partition(" ")[0]]:
                result = Result(value=await work())
        except GarrisonError as error:
            result = Result(error=error)
        except Exception as error:
            log.exception("%s: %s crashed; this is a bug in Garrison, please report it", *slot)
            result = Result(error=error)
        if self._tasks.get(slot) is asyncio.current_task():
            del self._tasks[slot]
            self._results[slot] = result
            self._wake(slot[0])

    def running(self, key: Key, name: str) -> bool:
        """Return whether the job has not finished yet."""
        return (key, name) in self._tasks

    def take(self, key: Key, name: str) -> Result | None:
        """Return a finished job's result once, None when there is none."""
        return self._results.pop((key, name), None)

    def cancel(self, key: Key) -> None:
        """Drop all jobs and results of a key."""
        for slot in [each for each in self._tasks if each[0] == key]:
            self._tasks.pop(slot).cancel()
        for slot in [each for each in self._results if each[0] == key]:
            del self._results[slot]

    def drop(self, key: Key, name: str) -> None:
        """Drop one job and its result: what it finds would be out of date."""
        task = self._tasks.pop((key, name), None)
        if task is not None:
            task.cancel()
        self._results.pop((key, name), None)

    async def stop(self) -> None:
        """Cancel everything and wait for it."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
