"""Counters that worker processes write and the agent reads, in shared memory without locks.

Each worker has a slot of its own; a reader adds them up. A reading may be torn between two
counters, never within one.
"""

from __future__ import annotations

import mmap
import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Dict, List, NamedTuple  # noqa: UP035 -- evaluated at run time on Python 3.9

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
"""Upper bounds of the latency histograms, in seconds."""

NAMES = (
    "connections",
    "accepted",
    "refused",
    "bytes_in",
    "bytes_out",
    "requests",
    "in_flight",
    "pending",
    "last_request",
)
CONNECTIONS, ACCEPTED, REFUSED, BYTES_IN, BYTES_OUT, REQUESTS, IN_FLIGHT, PENDING, LAST_REQUEST = (
    range(len(NAMES))
)
FIRST_BYTE = len(NAMES)
_HISTOGRAM = len(BUCKETS) + 2  # buckets, the rest, and the sum in microseconds
TOTAL = FIRST_BYTE + _HISTOGRAM
_SIZE = TOTAL + _HISTOGRAM
_GAUGES = (CONNECTIONS, IN_FLIGHT, PENDING)
_MICROSECONDS = 1_000_000


class Histogram(NamedTuple):
    """Observations per bucket (the last: above all bounds), and their sum in seconds."""

    counts: List[int]  # noqa: UP006
    seconds: float


class Totals(NamedTuple):
    """All workers together; ``last_request`` is the monotonic clock's second of the newest one."""

    counts: Dict[str, int]  # noqa: UP006
    first_byte: Histogram
    total: Histogram


class Counters:
    """``workers`` slots in memory that processes forked later share."""

    def __init__(self, workers: int) -> None:
        self._memory = mmap.mmap(-1, workers * _SIZE * 8)
        words = memoryview(self._memory).cast("Q")
        self.slots: list[memoryview] = [
            words[at * _SIZE : (at + 1) * _SIZE] for at in range(workers)
        ]

    def connections(self) -> int:
        """Return how many connections are open in all workers."""
        return sum(slot[CONNECTIONS] for slot in self.slots)

    def reset_gauges(self, worker: int) -> None:
        """Forget what a worker that died had open."""
        for gauge in _GAUGES:
            self.slots[worker][gauge] = 0

    def totals(self) -> Totals:
        """Return the sums over all workers."""
        words = [sum(column) for column in zip(*self.slots)]
        words[LAST_REQUEST] = max(slot[LAST_REQUEST] for slot in self.slots)
        return Totals(
            dict(zip(NAMES, words)),
            _histogram(words[FIRST_BYTE:TOTAL]),
            _histogram(words[TOTAL:]),
        )


class Tally:
    """What a worker counts for each read: plain attributes, which cost a third of shared memory.

    ``publish`` writes them to the worker's ``slot``, once for all that epoll had to tell. ``now`` is
    the monotonic clock at its beginning; ``first``, ``total`` and ``whole`` (both at once) are
    latencies in seconds that are in no histogram yet.
    """

    __slots__ = (
        "_published",
        "_slot",
        "bytes_in",
        "bytes_out",
        "first",
        "in_flight",
        "now",
        "requests",
        "total",
        "whole",
    )

    def __init__(self, slot: memoryview) -> None:
        self._slot, self.now = slot, time.monotonic()
        self.bytes_in, self.bytes_out = slot[BYTES_IN], slot[BYTES_OUT]
        self.requests, self.in_flight = slot[REQUESTS], slot[IN_FLIGHT]
        self._published = self.requests
        self.first: list[float] = []
        self.total: list[float] = []
        self.whole: list[float] = []

    def publish(self) -> None:
        """Let the agent see it."""
        slot = self._slot
        slot[BYTES_IN], slot[BYTES_OUT] = self.bytes_in, self.bytes_out
        slot[IN_FLIGHT] = self.in_flight
        if self.requests != self._published:
            slot[REQUESTS] = self._published = self.requests
            slot[LAST_REQUEST] = int(self.now)
        if self.whole:
            _observe(slot, self.whole, FIRST_BYTE, TOTAL)
        if self.first:
            _observe(slot, self.first, FIRST_BYTE)
        if self.total:
            _observe(slot, self.total, TOTAL)


def _observe(slot: memoryview, latencies: list[float], *histograms: int) -> None:
    for seconds in latencies:
        bucket, microseconds = bisect_left(BUCKETS, seconds), int(seconds * _MICROSECONDS)
        for histogram in histograms:
            slot[histogram + bucket] += 1
            slot[histogram + _HISTOGRAM - 1] += microseconds
    latencies.clear()


def _histogram(words: Sequence[int]) -> Histogram:
    return Histogram(list(words[:-1]), words[-1] / _MICROSECONDS)
