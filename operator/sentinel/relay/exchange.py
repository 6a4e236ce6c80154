"""Follows the requests of one connection lightly, to measure them; never changes a byte.

HTTP/1.1 is followed by method, status line, Content-Length and the last chunk. Anything else
(HTTP/2, an upgraded connection, unknown protocols) counts as one request that lasts as long as
its connection. A guess that is wrong makes a figure wrong, and nothing else.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmap import mmap

    from sentinel.relay.counters import Tally

_METHODS = frozenset((b"POST", b"GET ", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC"))
_METHOD_BYTES = 4
_HEAD = ord("H")  # of HEAD, and of no other method
_HEAD_BYTES = 2048  # a longer head makes the answer's length unknown
_HEADS = 64  # of answers, whose framing is remembered
_INTERIM, _UPGRADE, _HEAD_ENDS = b"HTTP/1.1 1", b"HTTP/1.1 101", b"\r\n\r\n"
_WITHOUT_BODY = (b"204", b"304")
_LAST_CHUNK = b"0\r\n\r\n"
_LAST_CHUNK_BYTES = len(_LAST_CHUNK)
_IDLE, _WAITING, _ANSWERING, _OPAQUE = range(4)
_UNKNOWN, _CHUNKED, _NO_ANSWER, _UPGRADED = -1, -2, -3, -4  # instead of a length


class Exchange:
    """The request in flight on one connection, counted in ``tally``.

    What passes is at the beginning of ``buffer``, which all connections of a worker share: only
    the few bytes that are looked at are copied.
    """

    __slots__ = ("_began", "_buffer", "_head", "_left", "_state", "_tally", "_used")

    def __init__(self, tally: Tally, buffer: mmap) -> None:
        self._tally, self._buffer = tally, buffer
        self._state, self._used, self._head = _IDLE, False, False
        self._began, self._left = 0.0, _UNKNOWN

    def from_client(self, size: int) -> None:
        """Take note of ``size`` bytes on their way to the workload."""
        state, buffer = self._state, self._buffer
        if state == _WAITING or state == _OPAQUE:  # noqa: PLR1714, SIM109 -- runs per read
            return
        if size >= _METHOD_BYTES and buffer[:_METHOD_BYTES] in _METHODS:
            if state == _ANSWERING:
                self._end()
            self._state, self._head = _WAITING, buffer[0] == _HEAD
        elif self._used:
            return
        else:
            self._state = _OPAQUE
        tally = self._tally
        self._used, self._began = True, tally.now
        tally.requests += 1
        tally.in_flight += 1

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

    def _answer(self, size: int) -> None:
        tally = self._tally
        start = self._buffer[: size if size < _HEAD_BYTES else _HEAD_BYTES]
        end = start.find(_HEAD_ENDS)
        left = _framing(start[:end]) if end >= 0 else _framing_of_a_part(start)
        if left <= _NO_ANSWER:
            if left == _UPGRADED:
                self._state = _OPAQUE
            return
        if self._head:
            left = 0
        if 0 <= left <= size - end - 4:  # all of it in one piece, as most are
            self._state = _IDLE
            tally.in_flight -= 1
            tally.whole.append(tally.now - self._began)
            return
        tally.first.append(tally.now - self._began)
        self._state = _ANSWERING
        self._left = left + end + 4 if left >= 0 else left
        self._more(size)

    def _more(self, size: int) -> None:
        if self._left >= 0:
            self._left -= size
            if self._left <= 0:
                self._end()
        elif self._left == _CHUNKED and self._is_last_chunk(size):
            self._end()

    def _is_last_chunk(self, size: int) -> bool:
        start = size - _LAST_CHUNK_BYTES
        return start >= 0 and self._buffer[start:size] == _LAST_CHUNK

    def _end(self) -> None:
        self._state = _IDLE
        self._tally.in_flight -= 1
        self._tally.total.append(self._tally.now - self._began)


def _framing_of_a_part(start: bytes) -> int:
    """Return the same for a head that is longer, or has not come as a whole: its length is unknown."""
    return min(_UNKNOWN, _framing(start[: len(_UPGRADE)]))


@lru_cache(_HEADS)
def _framing(head: bytes) -> int:
    """Return how long the body after ``head`` is, or what it is instead of an answer with a length."""
    if head.startswith(_INTERIM):
        return _UPGRADED if head.startswith(_UPGRADE) else _NO_ANSWER
    if head[9:12] in _WITHOUT_BODY:
        return 0
    head = head.lower()
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if found:
        return _number(rest.partition(b"\r\n")[0])
    return _CHUNKED if b"\r\ntransfer-encoding: chunked" in head else _UNKNOWN


def _number(digits: bytes) -> int:
    digits = digits.strip()
    return int(digits) if digits.isdigit() and len(digits) < 20 else _UNKNOWN
