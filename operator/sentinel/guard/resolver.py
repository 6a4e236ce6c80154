"""The only resolver that the workload reaches: allowed names are answered, and pinned."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from sentinel.guard.addresses import fold, shown
from sentinel.guard.audit import Audit
from sentinel.guard.loop import READ, Loop
from sentinel.guard.message import ESCAPE, PASSED, Query, addresses, failure, read_query, refusal
from sentinel.guard.upstream import Upstream
from sentinel.guard.verdict import Decider

PORT = 53
_MAX_RESOLVERS, _LONGEST_ADDRESS = 8, 64
_BATCH = 32
_MAX_QUERY = 4096
_MAX_STREAMS = 256
_STREAM_SECONDS = 30.0
_CACHE_ENTRIES, _CACHE_SECONDS = 1024, 30.0

Pinned = Callable[[str, bytes], None]


class Resolver:
    """Serves DNS on sockets that it is given; ``pinned`` hears of every address it learns."""

    def __init__(self, loop: Loop, decider: Decider, audit: Audit, upstream: Upstream) -> None:
        self._loop = loop
        self._decider = decider
        self._audit = audit
        self._upstream = upstream
        self._cache: dict[bytes, tuple[float, bytes]] = {}
        self._streams = 0
        self.pinned: Pinned = lambda _name, _address: None
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(listening.getsockname()[1])
        """Where it listens on this machine's loopback, over TCP and UDP."""
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", self.port))
        self._sockets: list[socket.socket] = []
        self.serve(datagrams, listening)

    def serve(self, *sockets: socket.socket) -> None:
        """Answer on further sockets, bound datagram or listening stream ones."""
        for each in sockets:
            each.setblocking(False)
            self._sockets.append(each)
            ready = self._datagrams if each.type == socket.SOCK_DGRAM else self._accept
            self._loop.watch(each.fileno(), lambda _events, s=each, f=ready: f(s))  # type: ignore[misc]

    def forget_answers(self) -> None:
        """Ask anew, after a change of policy."""
        self._cache.clear()

    def close(self) -> None:
        """Stop serving."""
        for each in self._sockets:
            self._loop.forget(each.fileno())
            each.close()

    def _datagrams(self, served: socket.socket) -> None:
        for _ in range(_BATCH):
            try:
                message, asker = served.recvfrom(_MAX_QUERY)
            except BlockingIOError:
                return

            def reply(response: bytes, asker: Any = asker) -> None:
                try:
                    served.sendto(response, asker)
                except OSError:
                    return

            self._answer(message, reply, stream=False)

    def _accept(self, served: socket.socket) -> None:
        connection, _ = served.accept()
        if self._streams >= _MAX_STREAMS:
            connection.close()
            return
        self._streams += 1
        _Stream(self._loop, connection, self._answer, self._stream_ended)

    def _stream_ended(self) -> None:
        self._streams -= 1

    def _answer(self, message: bytes, reply: Callable[[bytes], None], *, stream: bool) -> None:
        query = read_query(message)
        if query is None:
            return
        if reason := self._objection(query):
            self._audit.deny("dns", query.name, PORT, reason)
            if self._audit.enforces:
                reply(refusal(message, query))
                return
        key = bytes([stream]) + message[2:]
        known = self._cache.get(key)
        if known and known[0] > time.monotonic():
            reply(message[:2] + known[1][2:])
            return

        def done(response: bytes) -> None:
            if response:
                self._learn(response, query, key)
            reply(response or failure(message, query))

        self._upstream.ask(message, query, done, stream=stream)

    def _objection(self, query: Query) -> str:
        if ESCAPE in query.name:
            return "no-host-name"
        if not self._decider.policy.ports_of(query.name):
            return "name-not-allowed"
        return "" if query.type in PASSED else f"record-type-{query.type}"

    def _learn(self, response: bytes, query: Query, key: bytes) -> None:
        try:
            found = addresses(response, query)
        except ValueError:
            return
        allowed = self._decider.policy.ports_of(query.name)
        for address, seconds in found:
            if not allowed:
                self._audit.note_name(shown(address), query.name)
            elif self._decider.pin(fold(address), query.name, seconds):
                self.pinned(query.name, fold(address))
            elif not self._decider.policy.network_allows(fold(address), 0):
                self._audit.deny("dns", query.name, PORT, f"leads-inward-{shown(address)}")
        life = min([_CACHE_SECONDS, *(float(seconds) for _, seconds in found)])
        if found and life > 0:
            if len(self._cache) >= _CACHE_ENTRIES:
                self._cache.clear()
            self._cache[key] = (time.monotonic() + life, response)


class _Stream:
    """One TCP client: messages with a length in front."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        answer: Callable[..., None],
        ended: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._answer = answer
        self._ended = ended
        self._buffer = b""
        self._open = True
        connection.setblocking(False)
        loop.watch(connection.fileno(), self._ready, READ)
        loop.later(_STREAM_SECONDS, self._end)

    def _ready(self, _events: int) -> None:
        try:
            got = self._connection.recv(_MAX_QUERY)
        except BlockingIOError:
            return
        except OSError:
            got = b""
        if not got:
            self._end()
            return
        self._buffer += got
        while len(self._buffer) >= 2:
            length = int.from_bytes(self._buffer[:2], "big")
            if length > _MAX_QUERY:
                self._end()
                return
            if len(self._buffer) < length + 2:
                return
            message, self._buffer = self._buffer[2 : length + 2], self._buffer[length + 2 :]
            self._answer(message, self._reply, stream=True)

    def _reply(self, response: bytes) -> None:
        if not self._open:
            return
        try:
            self._connection.sendall(len(response).to_bytes(2, "big") + response)
        except OSError:
            self._end()

    def _end(self) -> None:
        if self._open:
            self._open = False
            self._loop.forget(self._connection.fileno())
            self._connection.close()
            self._ended()


def system_resolvers(path: str = "/etc/resolv.conf") -> list[tuple[str, int]]:
    """Return the first resolvers of the file, without scopes; empty when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        return []
    named = [each[1] for each in words if len(each) > 1 and each[0] == "nameserver"]
    return [(each.partition("%")[0][:_LONGEST_ADDRESS], PORT) for each in named[:_MAX_RESOLVERS]]
