"""A queue of keys: each at most once, one pass per key at a time, with delays."""

from __future__ import annotations

import asyncio
import heapq

from garrison.api.meta import Key

RESOLUTION = 0.001
"""Seconds; what is due sooner than this is due now, so that rounding of loop time cannot spin."""


class KeyedQueue:
    """Deduplicating; the earliest asked time wins; a key added while it is worked on comes again.

    Time is the event loop's, so it is virtual wherever the loop's is.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._working: dict[Key, float | None] = {}
        self._sequence = 0
        self._changed = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._due)

    @property
    def working(self) -> int:
        """How many keys are being worked on."""
        return len(self._working)

    def ready(self) -> int:
        """Return how many keys are due now."""
        now = asyncio.get_running_loop().time()
        return sum(due <= now for due in self._due.values())

    def add(self, key: Key, *, after: float = 0.0) -> None:
        """Ask for a look at ``key`` in ``after`` seconds."""
        due = asyncio.get_running_loop().time() + max(0.0, after)
        if key in self._working:
            known = self._working[key]
            self._working[key] = due if known is None else min(known, due)
            return
        if key in self._due and self._due[key] <= due:
            return
        self._push(key, due)

    def _push(self, key: Key, due: float) -> None:
        self._due[key] = due
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, key))
        self._changed.set()

    def close(self) -> None:
        """Give out no more keys."""
        self._closed = True
        self._changed.set()

    async def get(self) -> Key | None:
        """Wait for the next due key and take it (``done`` must follow); None once closed."""
        while not self._closed:
            key, wait = self._next()
            if key is not None:
                return key
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return None

    def _next(self) -> tuple[Key | None, float | None]:
        now = asyncio.get_running_loop().time()
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) != due:
                heapq.heappop(self._heap)
                continue
            if due > now + RESOLUTION:
                return None, due - now
            heapq.heappop(self._heap)
            del self._due[key]
            self._working[key] = None
            return key, None
        return None, None

    def done(self, key: Key, *, after: float | None = None) -> None:
        """End the work on a key; look again in ``after`` seconds (None: only when asked)."""
        asked = self._working.pop(key)
        if asked is not None:
            self._push(key, asked)
        if after is not None:
            self.add(key, after=after)
