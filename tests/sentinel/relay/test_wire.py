"""Who sits between a client and a replica sees nothing that can be read, and changes nothing unseen."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

import pytest

from tests.sentinel.relay.relay_process import RelayProcess

REQUEST = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\n\r\nwhat is asked in confidence"
ANSWER = b"HTTP/1.1 200 OK\r\n\r\nwhat is answered in confidence"
APPLICATION_DATA = 23
"""A record's first byte, RFC 8446 section 5.1; a handshake of TLS 1.3 ends in such records, too."""


class Tap:
    """Carries one connection to the relay, keeps what passes, and ``bends`` what the client sends."""

    def __init__(self, relay: RelayProcess, bends: Callable[[bytes], bytes]) -> None:
        self.seen = b""
        self._bends = bends
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._far = socket.create_connection(("127.0.0.1", relay.port), timeout=10)
        self.port = int(self._listening.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        self._near, _ = self._listening.accept()
        self._threads.append(
            threading.Thread(
                target=self._carry, args=(self._far, self._near, lambda data: data), daemon=True
            )
        )
        self._threads[1].start()
        self._carry(self._near, self._far, self._bends)

    def _carry(
        self, source: socket.socket, sink: socket.socket, bends: Callable[[bytes], bytes]
    ) -> None:
        try:
            while data := source.recv(65536):
                self.seen += data
                sink.sendall(bends(data))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        """End it."""
        for each in (self._listening, self._far, self._near):
            each.close()
        for thread in self._threads:
            thread.join(10)


def through(tap: Tap, relay: RelayProcess) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", tap.port), timeout=10)
    return relay.context().wrap_socket(raw)


def test_nothing_that_passes_can_be_read(relay: RelayProcess) -> None:
    tap = Tap(relay, lambda data: data)
    with through(tap, relay) as client:
        client.sendall(REQUEST)
        workload, _ = relay.workload.accept()
        with workload:
            assert workload.recv(4096) == REQUEST
            workload.sendall(ANSWER)
            assert client.recv(4096) == ANSWER
    tap.close()
    assert len(tap.seen) > len(REQUEST) + len(ANSWER)
    for text in (b"HTTP/1.1", b"confidence", b"completions"):
        assert text not in tap.seen


def test_what_is_changed_on_the_way_never_arrives(relay: RelayProcess) -> None:
    bending = threading.Event()

    def bends(data: bytes) -> bytes:
        if not bending.is_set():
            return data
        assert data[0] == APPLICATION_DATA
        return data[:-1] + bytes([data[-1] ^ 1])

    tap = Tap(relay, bends)
    with through(tap, relay) as client:
        client.sendall(b"first")
        workload, _ = relay.workload.accept()
        with workload:
            workload.settimeout(10)
            assert workload.recv(4096) == b"first"
            bending.set()
            client.sendall(REQUEST)
            with contextlib.suppress(ConnectionError):
                assert workload.recv(4096) == b""
            with pytest.raises((ssl.SSLError, ConnectionError)):
                client.recv(4096)
    tap.close()
