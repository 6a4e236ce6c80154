"""Copies bytes both ways between two sockets, with back-pressure and half-close."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from sentinel.guard.loop import READ, WRITE, Loop

_CHUNK = 65536


class _Way:
    """One direction."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.held = b""
        self.ended = False
        """The source has no more."""
        self.closed = False
        """The sink knows."""

    def pull(self) -> None:
        """Read once if nothing is held; raises OSError."""
        if self.held or self.ended:
            return
        with suppress(BlockingIOError):
            self.held = self.source.recv(_CHUNK)
            self.ended = not self.held

    def push(self) -> None:
        """Write what is held, and the end after it; raises OSError."""
        if self.held:
            with suppress(BlockingIOError):
                self.held = self.held[self.sink.send(self.held) :]
        if self.ended and not self.held and not self.closed:
            self.closed = True
            with suppress(OSError):
                self.sink.shutdown(socket.SHUT_WR)


class Pump:
    """Runs on the loop until both directions have ended or one side fails."""

    def __init__(
        self,
        loop: Loop,
        near: socket.socket,
        far: socket.socket,
        ended: Callable[[Pump], None],
    ) -> None:
        self._loop = loop
        self._near, self._far = near, far
        self._ways = (_Way(near, far), _Way(far, near))
        self._ended = ended
        self._open = True
        self._events: dict[int, int] = {}
        for each in (near, far):
            each.setblocking(False)
            loop.watch(each.fileno(), self._ready, READ)
            self._events[each.fileno()] = READ

    def _ready(self, _events: int) -> None:
        try:
            for way in self._ways:
                way.pull()
                way.push()
        except OSError:
            self.end(abort=True)
            return
        if all(way.closed for way in self._ways):
            self.end()
        else:
            self._rewatch()

    def _rewatch(self) -> None:
        for each in (self._near, self._far):
            out = next(way for way in self._ways if way.source is each)
            into = next(way for way in self._ways if way.sink is each)
            events = (0 if out.held or out.ended else READ) | (WRITE if into.held else 0)
            if events != self._events[each.fileno()]:
                self._events[each.fileno()] = events
                self._loop.rewatch(each.fileno(), events)

    def end(self, *, abort: bool = False) -> None:
        """Close both sides, with a reset if ``abort``."""
        if not self._open:
            return
        self._open = False
        for each in (self._near, self._far):
            self._loop.forget(each.fileno())
            if abort:
                reset(each)
            else:
                each.close()
        self._ended(self)


def reset(connection: socket.socket) -> None:
    """Close a TCP connection with a reset."""
    with suppress(OSError):
        linger = b"\1\0\0\0\0\0\0\0"
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.close()
