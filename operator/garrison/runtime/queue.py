"""A queue of keys: each at most once, one pass per key at a time, with delays."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque

from garrison.api.meta import Key

_FIRST = float("-inf")
"""Due before everything else."""

RESOLUTION = 0.001
"""Seconds; what is due sooner than this is due now, so that rounding of loop time cannot spin."""


class KeyedQueue:
    """Deduplicating; the earliest asked time wins; a key added while it is worked on comes again.

    Work that says that it goes on at once comes before all that waits: what it has begun (an intent
    whose token is good for seconds) must not grow old behind two hundred others.

    Whoever waits sleeps until there is a key for it: one is woken per key, by one timer for all.
    Time is the event loop's, so it is virtual wherever the loop's is.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._working: dict[Key, float | None] = {}
        self._sequence = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
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
        self._wake()

    def close(self) -> None:
        """Give out no more keys."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting:
            self._wake_one()

    async def get(self) -> Key | None:
        """Wait for the next due key and take it (``done`` must follow); None once closed."""
        while not self._closed:
            key = self._take()
            if key is not None:
                self._wake()
                return key
            await self._turn()
        return None

    async def _turn(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._wake()
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():  # it was woken for a key that somebody else must take now
                self._wake()
            raise

    def _wake(self) -> None:
        """Wake one of those who wait if a key is due, else set the timer to when one is."""
        due = self._earliest()
        if due is None or not self._waiting or self._closed:
            return
        loop = asyncio.get_running_loop()
        if due <= loop.time() + RESOLUTION:
            self._wake_one()
        elif self._timer is None or self._timer.when() != due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(due, self._ring)

    def _wake_one(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _ring(self) -> None:
        self._timer = None
        self._wake()

    def _earliest(self) -> float | None:
        """When the first key is due; what was asked for earlier since then is dropped on the way."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _take(self) -> Key | None:
        due = self._earliest()
        if due is None or due > asyncio.get_running_loop().time() + RESOLUTION:
            return None
        _, _, key = heapq.heappop(self._heap)
        del self._due[key]
        self._working[key] = None
        return key

    def done(self, key: Key, *, after: float | None = None) -> None:
        """End the work on a key; look again in ``after`` seconds (0: first of all, None: when asked)."""
        asked = self._working.pop(key)
        if after == 0:
            self._push(key, _FIRST)
            return
        if asked is not None:
            self._push(key, asked)
        if after is not None:
            self.add(key, after=after)
