"""The workload's output, the newest of it: kept in memory, so that none lies on a disk."""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Deque, NamedTuple  # noqa: UP035 -- evaluated at run time on Python 3.9

MAX_BYTES = 1024 * 1024
_MAX_LINE = 16 * 1024
_OVERHEAD = 100  # bytes that a line costs besides its text


class Line(NamedTuple):
    """One line of ``stdout`` or ``stderr``; ``number`` counts from the start."""

    number: int
    time: float
    stream: str
    line: str


class Logs:
    """A ring of lines, for any number of readers."""

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._limit = limit
        self._lines: Deque[Line] = deque()  # noqa: UP006
        self._size = self._count = 0
        self._news = threading.Condition()

    def add(self, stream: str, line: str) -> None:
        """Append a line, and forget the oldest ones beyond the limit."""
        with self._news:
            self._lines.append(Line(self._count, time.time(), stream, line))
            self._count += 1
            self._size += len(line) + _OVERHEAD
            while self._size > self._limit:
                self._size -= len(self._lines.popleft().line) + _OVERHEAD
            self._news.notify_all()

    def read(self, after: int, seconds: float) -> list[Line]:
        """Return lines numbered ``after`` and later; waits up to ``seconds`` for one."""
        with self._news:
            self._news.wait_for(lambda: self._count > after, seconds)
            return [line for line in self._lines if line.number >= after]

    def tail(self, count: int) -> list[Line]:
        """Return the newest ``count`` lines."""
        with self._news:
            return list(self._lines)[-count:] if count else []

    def forget(self) -> None:
        """Drop all lines."""
        with self._news:
            self._lines.clear()
            self._size = 0

    def follow(self, streams: dict[int, str]) -> None:
        """Take what comes out of ``streams`` (descriptor to name) until they end; closes them."""
        threading.Thread(target=self._pump, args=(streams,), daemon=True, name="logs").start()

    def _pump(self, streams: dict[int, str]) -> None:
        poll, held = select.poll(), dict.fromkeys(streams, b"")
        for fd in streams:
            poll.register(fd, select.POLLIN)
        while held:
            for fd, _ in poll.poll():
                data = b""
                with suppress(OSError):
                    data = os.read(fd, 65536)
                held[fd] += data
                for line in _lines(held, fd, final=not data):
                    self.add(streams[fd], line)
                if not data:
                    poll.unregister(fd)
                    os.close(fd)
                    del held[fd]


def _lines(held: dict[int, bytes], fd: int, *, final: bool) -> Iterator[str]:
    """Yield whole lines, and what is too long in pieces; the rest stays in ``held``."""
    *whole, rest = held[fd].split(b"\n")
    cut = len(rest) if final else len(rest) // _MAX_LINE * _MAX_LINE
    held[fd] = rest[cut:]
    for line in [*whole, rest[:cut]] if cut else whole:
        text = line.rstrip(b"\r")
        for at in range(0, len(text) or 1, _MAX_LINE):
            yield text[at : at + _MAX_LINE].decode("utf-8", "replace")
