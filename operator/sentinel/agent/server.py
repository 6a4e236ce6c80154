"""The control port: TLS, the clients that are taken, and a thread for each connection."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Callable, Protocol

from sentinel.agent import program
from sentinel.agent.errors import Refusal
from sentinel.agent.http import Ended, Request, Stream
from sentinel.tls import p256
from sentinel.tls.context import name_of

MAX_CONNECTIONS, MAX_CONSOLES, MAX_HANDSHAKES = 32, 16, 32
HANDSHAKE_SECONDS = 10.0
_BACKLOG = 64


class Presented(Protocol):
    """What a new connection is offered: a context, and the key that its certificate has."""

    @property
    def context(self) -> ssl.SSLContext: ...

    @property
    def key(self) -> p256.Key: ...


Serve = Callable[[Request, Stream, p256.Key, str], None]
"""Answers one request of a client by its URI name; the connection's certificate has this key."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listener; on all addresses when ``host`` is empty. Raises OSError."""
    if host or not socket.has_dualstack_ipv6():
        return socket.create_server((host, port), backlog=_BACKLOG, family=_family(host))
    return socket.create_server(
        ("", port), backlog=_BACKLOG, family=socket.AF_INET6, dualstack_ipv6=True
    )


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Server:
    """Accepts for ever. ``clients``: the URI names that are taken, and how many connections of each."""

    def __init__(
        self,
        listener: socket.socket,
        clients: Mapping[str, int],
        presented: Callable[[], Presented],
        serve: Serve,
        headers: Mapping[str, str],
    ) -> None:
        self._listener, self._clients = listener, clients
        self._presented, self._serve, self._headers = presented, serve, headers
        self._lock = threading.Lock()
        self._shaking: dict[int, socket.socket] = {}
        self._open = dict.fromkeys(clients, 0)

    def run(self) -> None:
        """Accept: for a thread."""
        number = 0
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:  # out of descriptors, or the client has gone
                time.sleep(0.05)
                continue
            number += 1
            with self._lock:
                if len(self._shaking) >= MAX_HANDSHAKES:
                    self._drop_oldest()
                self._shaking[number] = raw
            threading.Thread(
                target=self._connection, args=(number, raw), daemon=True, name="control"
            ).start()

    def _drop_oldest(self) -> None:
        oldest = self._shaking.pop(next(iter(self._shaking)))
        with suppress(OSError):
            oldest.shutdown(socket.SHUT_RDWR)

    def _connection(self, number: int, raw: socket.socket) -> None:
        presented = self._presented()
        secured: ssl.SSLSocket | None = None
        client = ""
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            secured = self._shake(raw, presented.context)
            name = name_of(secured)
            with self._lock:
                self._shaking.pop(number, None)
                if name in self._clients:
                    client = name
                    self._open[client] += 1
            if client:
                self._talk(Stream(secured, self._headers), presented.key, client)
        except (OSError, Ended, ValueError):
            pass  # the peer's fault: nothing to tell it
        finally:
            with self._lock:
                self._shaking.pop(number, None)
                if client:
                    self._open[client] -= 1
            with suppress(OSError):
                (secured or raw).close()
            raw.close()

    def _shake(self, raw: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Return the secured socket. Raises OSError, also when it takes too long."""
        deadline = time.monotonic() + HANDSHAKE_SECONDS
        raw.setblocking(False)
        secured = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        while True:
            writes = -1
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLWantWriteError:
                writes = secured.fileno()
            except OSError:
                secured.close()
                raise
            else:
                return secured
            left = deadline - time.monotonic()
            if left <= 0 or not program.readable([secured.fileno()], left, writes):
                secured.close()
                raise TimeoutError("handshake")

    def _talk(self, stream: Stream, key: p256.Key, client: str) -> None:
        most = self._clients[client]
        full = self._open[client] > most
        while True:
            try:
                request = stream.read()
                if full:
                    raise Refusal(503, "TooManyConnections", f"at most {most}")
            except Refusal as refusal:  # the stream's place is lost: answer and close
                _refuse(stream, refusal, close=True)
                return
            try:
                self._serve(request, stream, key, client)
            except Refusal as refusal:
                _refuse(stream, refusal, close=False)
            except (Ended, OSError):
                return
            except Exception as error:  # noqa: BLE001 -- a fault of ours must not end the agent
                sys.stderr.write(f"sentinel: {request.path}: {type(error).__name__}\n")
                _refuse(stream, Refusal(500, "Fault", type(error).__name__), close=True)
                return
            if request.headers.get("connection", "").lower() == "close" or stream.taken:
                return


def _refuse(stream: Stream, refusal: Refusal, *, close: bool) -> None:
    answer = {"reason": refusal.reason, "message": refusal.message}
    stream.answer_json(refusal.status, answer, close=close)
