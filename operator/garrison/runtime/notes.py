"""Events posted beside the passes: in order for each object, and nobody waits for them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from garrison.api.meta import Key
from garrison.errors import GarrisonError
from garrison.ports.kube import Kube, Note
from garrison.runtime.meter import Meter

log = logging.getLogger("garrison.engine")

PARALLEL = 8
ROOM = 32
"""Events of one object that may wait; beyond them the oldest is left out."""


class Notes:
    """Posts Events. One that cannot be posted must not undo the pass that it tells of."""

    def __init__(self, kube: Kube, meter: Meter, *, parallel: int = PARALLEL) -> None:
        self._kube = kube
        self._meter = meter
        self._waiting: dict[Key, deque[Note]] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(parallel)

    def add(self, key: Key, notes: Sequence[Note]) -> None:
        """Post Events of an object, after those of it that wait already."""
        if not notes:
            return
        waiting = self._waiting.setdefault(key, deque(maxlen=ROOM))
        waiting.extend(notes)
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._post(key, waiting), name=f"Events {key}")

    async def _post(self, key: Key, waiting: deque[Note]) -> None:
        try:
            while waiting:
                async with self._slots:
                    await self._posted(key, waiting.popleft())
        finally:
            del self._tasks[key], self._waiting[key]

    async def _posted(self, key: Key, note: Note) -> None:
        try:
            await self._kube.note(note)
        except GarrisonError as error:
            log.warning("%s: the Event %s was not posted: %s", key, note.reason, error)
        else:
            self._meter.wrote(key, "event")

    async def settle(self, *, within: float) -> None:
        """Wait until everything is posted; after ``within`` seconds the rest is left out."""
        tasks = list(self._tasks.values())
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=within)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
