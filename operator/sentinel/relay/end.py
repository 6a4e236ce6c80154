"""One socket of a relayed pair, and how each kind is read, written, finished and cut."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from sentinel.relay.exchange import Exchange

WAIT = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)
RECORD = 16 * 1024
"""The largest TLS record: a smaller read would leave bytes in OpenSSL that epoll cannot see."""
_RESET = struct.pack("ii", 1, 0)
_ALERT_BYTES = 4096


Turn = Callable[["End", int], None]
"""What is done with a socket's events in the stage that it is in. Raises OSError."""


class End:
    """The side of the client (``secure``) or of the workload.

    ``out``: bytes this socket has not taken yet; its peer is paused meanwhile. ``ended``: it sends
    no more. ``finished``: it was told that no more comes. ``events``: what epoll watches. ``read`` and
    ``write`` are the socket's own, for speed.
    """

    __slots__ = (
        "ended",
        "events",
        "exchange",
        "fd",
        "finished",
        "out",
        "peer",
        "read",
        "secure",
        "since",
        "socket",
        "turn",
        "write",
    )

    def __init__(self, sock: socket.socket, now: float, turn: Turn) -> None:
        self.socket, self.fd, self.since = sock, sock.fileno(), now
        self.secure = isinstance(sock, ssl.SSLSocket)
        self.read: Callable[[memoryview], int] = sock.recv_into
        self.write: Callable[[memoryview], int] = sock.send
        if isinstance(sock, ssl.SSLSocket):
            inner = getattr(sock, "_sslobj", None) or sock  # the same, without Python in between
            self.read = partial(inner.read, RECORD)  # type: ignore[assignment]  # into a buffer
            self.write = inner.write
        self.turn = turn
        self.peer: End | None = None
        self.exchange: Exchange | None = None
        self.out: memoryview | None = None
        self.ended = self.finished = False
        self.events = 0

    def write_records(self, view: memoryview) -> int:
        """Write more than one TLS record; the kernel joins them. Raises OSError."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        try:
            return self.write(view)
        finally:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    def done(self) -> bool:
        """Tell whether both directions have ended, and all that was read is written."""
        return self.ended and self.finished and self.out is None

    def finish(self, spare: tuple[socket.socket, socket.socket]) -> None:
        """Tell this side that no more bytes come; it may still send. Raises OSError."""
        self.finished = True
        if isinstance(self.socket, ssl.SSLSocket):
            if self.ended and _said_goodbye(self.socket):
                return
            alert = _close_notify(self.socket, spare)
            sent = 0
            with suppress(BlockingIOError):
                sent = os.write(self.fd, alert)
            if sent < len(alert):  # a full socket: the client does not read, and is cut later
                self.write, self.out = _raw(self.fd), memoryview(alert[sent:])
        else:
            self.socket.shutdown(socket.SHUT_WR)

    def close(self, *, cut: bool) -> None:
        """Close; ``cut`` resets the workload's side, so that it sees no clean end."""
        if cut and not self.secure:
            with suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.socket.close()


def _raw(fd: int) -> Callable[[memoryview], int]:
    return lambda view: os.write(fd, view)


def _said_goodbye(secured: ssl.SSLSocket) -> bool:
    """Send close_notify to a client that has sent its own; False when it has to be done again."""
    try:
        secured.unwrap()
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return False
    return True


def _close_notify(secured: ssl.SSLSocket, spare: tuple[socket.socket, socket.socket]) -> bytes:
    """Return the close_notify alert of a connection, without reading from its socket.

    OpenSSL's shutdown, as Python calls it, also reads, and fails for good on bytes that the client
    has sent meanwhile. So its descriptor stands for an empty socket for the moment of the call.
    """
    fd = secured.fileno()
    saved = os.dup(fd)
    try:
        os.dup2(spare[0].fileno(), fd, inheritable=False)
        with suppress(ssl.SSLError):  # "want read": the peer's own alert has not come
            secured.unwrap()
    finally:
        os.dup2(saved, fd, inheritable=False)
        os.close(saved)
    with suppress(BlockingIOError):
        return spare[1].recv(_ALERT_BYTES)
    return b""
