"""Follows the requests of one connection lightly, to measure them; never changes a byte.

HTTP/1.1 is followed by method, status line, Content-Length and the last chunk. Anything else
(HTTP/2, an upgraded connection, unknown protocols) counts as one request that lasts as long as
its connection. A guess that is wrong makes a figure wrong, and nothing else.
"""

from __future__ import annotations

import time

from sentinel.relay.counters import FIRST_BYTE, IN_FLIGHT, LAST_REQUEST, REQUESTS, TOTAL, observe

_METHODS = (b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC")
_HEAD_BYTES = 2048  # a longer head makes the answer's length unknown
_INTERIM, _UPGRADED, _HEAD_ENDS = b"HTTP/1.1 1", b"HTTP/1.1 101", b"\r\n\r\n"
_LENGTH_BEGINS, _LENGTH_ENDS = b"\ncontent-l", b"ength: "  # the second is written the same by all
_EMPTY, _LAST_OF_EMPTY = (b"204", b"304"), ord("4")
_LAST_CHUNK = b"0\r\n\r\n"
_IDLE, _WAITING, _ANSWERING, _OPAQUE = range(4)
_UNKNOWN, _CHUNKED = -1, -2  # what is left of an answer without a length


class Exchange:
    """The request in flight on one connection, counted in ``slot``.

    What passes is at the beginning of ``buffer``, which all connections of a worker share: looking
    at it there costs no copy.
    """

    __slots__ = ("_began", "_buffer", "_head", "_left", "_slot", "_state", "_used")

    def __init__(self, slot: memoryview, buffer: bytearray) -> None:
        self._slot, self._buffer = slot, buffer
        self._state, self._used, self._head = _IDLE, False, False
        self._began, self._left = 0.0, _UNKNOWN

    def from_client(self, size: int) -> None:
        """Take note of ``size`` bytes on their way to the workload."""
        if self._state == _WAITING or self._state == _OPAQUE:  # noqa: PLR1714 -- runs per read
            return
        if self._buffer.startswith(_METHODS, 0, size):
            if self._state == _ANSWERING:
                self._end()
            self._begin(_WAITING)
            self._head = self._buffer.startswith(b"HEAD")
        elif not self._used:
            self._begin(_OPAQUE)

    def from_workload(self, size: int) -> None:
        """Take note of ``size`` bytes on their way to the client."""
        if self._state == _WAITING:
            self._answer(size)
        elif self._state == _ANSWERING:
            self._more(size)

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

    def _answer(self, size: int) -> None:
        buffer = self._buffer
        if buffer.startswith(_INTERIM, 0, size):
            if buffer.startswith(_UPGRADED, 0, size):
                self._state = _OPAQUE
            return
        slot, passed = self._slot, time.monotonic() - self._began
        end = buffer.find(_HEAD_ENDS, 0, min(size, _HEAD_BYTES))
        left = self._length(end) if end >= 0 else _UNKNOWN
        if 0 <= left <= size - end - 4:  # all of it in one piece, as most are
            self._state = _IDLE
            slot[IN_FLIGHT] -= 1
            observe(slot, passed, FIRST_BYTE, TOTAL)
            return
        observe(slot, passed, FIRST_BYTE)
        self._state = _ANSWERING
        self._left = left + end + 4 if left >= 0 else left
        self._more(size)

    def _length(self, end: int) -> int:
        """Return how long the body is after a head of ``end`` bytes."""
        buffer = self._buffer
        if self._head or (buffer[11] == _LAST_OF_EMPTY and buffer[9:12] in _EMPTY):
            return 0
        at = buffer.find(_LENGTH_ENDS, 0, end)
        if at >= 0 and buffer[at - len(_LENGTH_BEGINS) : at].lower() == _LENGTH_BEGINS:
            begin = at + len(_LENGTH_ENDS)
            return _number(buffer[begin : buffer.find(b"\r", begin)])
        head = buffer[:end].lower()
        _, found, rest = head.partition(b"\r\ncontent-length:")
        if found:
            return _number(rest.partition(b"\r\n")[0])
        return _CHUNKED if b"\r\ntransfer-encoding: chunked" in head else _UNKNOWN

    def _more(self, size: int) -> None:
        if self._left >= 0:
            self._left -= size
            if self._left <= 0:
                self._end()
        elif self._left == _CHUNKED and self._buffer.endswith(_LAST_CHUNK, 0, size):
            self._end()

    def _end(self) -> None:
        self._state = _IDLE
        self._slot[IN_FLIGHT] -= 1
        observe(self._slot, time.monotonic() - self._began, TOTAL)


def _number(digits: bytearray) -> int:
    digits = digits.strip()
    return int(digits) if digits.isdigit() and len(digits) < 20 else _UNKNOWN
