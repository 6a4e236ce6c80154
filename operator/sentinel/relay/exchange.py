"""Follows the requests of one connection lightly, to measure them; never changes a byte.

HTTP/1.1 is followed by method, status line, Content-Length and the last chunk. Anything else
(HTTP/2, an upgraded connection, unknown protocols) counts as one request that lasts as long as
its connection. A guess that is wrong makes a figure wrong, and nothing else.
"""

from __future__ import annotations

import time

from sentinel.relay.counters import FIRST_BYTE, IN_FLIGHT, LAST_REQUEST, REQUESTS, TOTAL, observe

_METHODS = frozenset((b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC"))
_HEAD_BYTES = 2048  # a longer head makes the answer's length unknown
_LAST_CHUNK = b"0\r\n\r\n"
_IDLE, _WAITING, _ANSWERING, _OPAQUE = range(4)
_UNKNOWN, _CHUNKED = -1, -2  # what is left of an answer without a length


class Exchange:
    """The request in flight on one connection, counted in ``slot``."""

    __slots__ = ("_began", "_head", "_left", "_slot", "_state", "_used")

    def __init__(self, slot: memoryview) -> None:
        self._slot, self._state, self._used, self._head = slot, _IDLE, False, False
        self._began, self._left = 0.0, _UNKNOWN

    def from_client(self, view: memoryview) -> None:
        """Take note of bytes on their way to the workload."""
        if self._state == _WAITING or self._state == _OPAQUE:  # noqa: PLR1714 -- runs per read
            return
        start = bytes(view[:4])
        if start in _METHODS:
            if self._state == _ANSWERING:
                self._end()
            self._begin(_WAITING)
            self._head = start == b"HEAD"
        elif not self._used:
            self._begin(_OPAQUE)

    def from_workload(self, view: memoryview) -> None:
        """Take note of bytes on their way to the client."""
        if self._state == _WAITING:
            self._answer(view)
        elif self._state == _ANSWERING:
            self._more(view)

    def is_between(self) -> bool:
        """Tell whether all requests so far have been answered, and there was one."""
        return self._used and self._state == _IDLE

    def closed(self) -> None:
        """Take note of the connection's end."""
        if self._state != _IDLE:
            self._end()

    def _begin(self, state: int) -> None:
        self._state, self._used, self._began = state, True, time.monotonic()
        slot = self._slot
        slot[REQUESTS] += 1
        slot[IN_FLIGHT] += 1
        slot[LAST_REQUEST] = int(self._began)

    def _answer(self, view: memoryview) -> None:
        head = bytes(view[:_HEAD_BYTES])
        if head.startswith(b"HTTP/1.1 1"):
            if head.startswith(b"HTTP/1.1 101"):
                self._state = _OPAQUE
            return
        slot, passed = self._slot, time.monotonic() - self._began
        end = head.find(b"\r\n\r\n")
        left = self._length(head[:end].lower()) if end >= 0 else _UNKNOWN
        if 0 <= left <= len(view) - end - 4:  # all of it in one piece, as most are
            self._state = _IDLE
            slot[IN_FLIGHT] -= 1
            observe(slot, passed, FIRST_BYTE, TOTAL)
            return
        observe(slot, passed, FIRST_BYTE)
        self._state = _ANSWERING
        self._left = left + end + 4 if left >= 0 else left
        self._more(view)

    def _length(self, head: bytes) -> int:
        if self._head or head[9:12] in (b"204", b"304"):
            return 0
        _, found, rest = head.partition(b"\r\ncontent-length:")
        if found:
            digits = rest.partition(b"\r\n")[0].strip()
            return int(digits) if digits.isdigit() and len(digits) < 20 else _UNKNOWN
        return _CHUNKED if b"\r\ntransfer-encoding: chunked" in head else _UNKNOWN

    def _more(self, view: memoryview) -> None:
        if self._left >= 0:
            self._left -= len(view)
            if self._left <= 0:
                self._end()
        elif self._left == _CHUNKED and view[-5:] == _LAST_CHUNK:
            self._end()

    def _end(self) -> None:
        self._state = _IDLE
        self._slot[IN_FLIGHT] -= 1
        observe(self._slot, time.monotonic() - self._began, TOTAL)
