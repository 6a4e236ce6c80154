"""Asks the machine's own resolvers, over UDP or TCP, without blocking the loop."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence

from sentinel.guard.loop import READ, WRITE, Loop
from sentinel.guard.message import Query, answers_to

_PATIENCE_SECONDS = 2.0
_ROUNDS = 2
_MAX_OPEN = 512
_MAX_RESPONSE = 65535

Endpoint = tuple[str, int]
Done = Callable[[bytes], None]


class Upstream:
    """Tries each resolver in turn; an empty answer means that none replied."""

    def __init__(self, loop: Loop, resolvers: Sequence[Endpoint]) -> None:
        self._loop = loop
        self._resolvers = list(resolvers)
        self._open = 0

    def ask(self, message: bytes, query: Query, done: Done, *, stream: bool) -> None:
        """Send the question; ``done`` gets the response with the asker's id, or nothing."""
        if self._open >= _MAX_OPEN or not self._resolvers:
            done(b"")
            return
        self._open += 1
        renumbered = os.urandom(2) + message[2:]
        self._attempt(renumbered, query, self._finish(message, done), 0, stream=stream)

    def _finish(self, message: bytes, done: Done) -> Done:
        def finish(response: bytes) -> None:
            self._open -= 1
            done(message[:2] + response[2:] if response else b"")

        return finish

    def _attempt(
        self, message: bytes, query: Query, done: Done, number: int, *, stream: bool
    ) -> None:
        if number >= _ROUNDS * len(self._resolvers):
            done(b"")
            return
        resolver = self._resolvers[number % len(self._resolvers)]

        def settle(response: bytes) -> None:
            if response:
                done(response)
            else:
                self._attempt(message, query, done, number + 1, stream=stream)

        exchange = _StreamExchange if stream else _Exchange
        exchange(self._loop, resolver, message, query, settle)


class _Exchange:
    """One question to one resolver by datagram."""

    kind = socket.SOCK_DGRAM

    def __init__(
        self, loop: Loop, resolver: Endpoint, message: bytes, query: Query, settle: Done
    ) -> None:
        self._loop = loop
        self._message = message
        self._query = query
        self._settle = settle
        family = socket.AF_INET6 if ":" in resolver[0] else socket.AF_INET
        self._socket = socket.socket(family, self.kind | socket.SOCK_NONBLOCK)
        self._over = False
        code = self._socket.connect_ex(resolver)
        if code not in (0, errno.EINPROGRESS):
            loop.later(0, self._give_up)
            return
        loop.watch(self._socket.fileno(), self._ready, WRITE)
        loop.later(_PATIENCE_SECONDS, self._give_up)

    def _ready(self, events: int) -> None:
        try:
            if events & WRITE:
                self._socket.send(self._framed())
                self._loop.rewatch(self._socket.fileno(), READ)
            else:
                self._received(self._socket.recv(_MAX_RESPONSE))
        except BlockingIOError:
            return
        except OSError:
            self._end(b"")

    def _framed(self) -> bytes:
        return self._message

    def _received(self, got: bytes) -> None:
        self._check(got)

    def _check(self, response: bytes) -> None:
        if answers_to(response, self._message, self._query):
            self._end(response)

    def _give_up(self) -> None:
        if not self._over:
            self._end(b"")

    def _end(self, response: bytes) -> None:
        self._over = True
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        self._settle(response)


class _StreamExchange(_Exchange):
    """The same over TCP, with a length in front (RFC 1035, section 4.2.2)."""

    kind = socket.SOCK_STREAM
    _buffer = b""

    def _framed(self) -> bytes:
        return len(self._message).to_bytes(2, "big") + self._message

    def _received(self, got: bytes) -> None:
        self._buffer += got
        length = int.from_bytes(self._buffer[:2], "big")
        if not got:
            self._end(b"")
        elif len(self._buffer) >= length + 2:
            response = self._buffer[2 : length + 2]
            if answers_to(response, self._message, self._query):
                self._end(response)
            else:
                self._end(b"")
