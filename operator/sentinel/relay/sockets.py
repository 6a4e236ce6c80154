"""The sockets that a worker begins with: where clients come in, and the way to the workload."""

from __future__ import annotations

import errno
import socket

_BACKLOG = 1024
_VENDOR_SECONDS = 1.0
_INHERITED = (  # by connections, from their listener
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


def upstream_socket(vendor: str) -> socket.socket:
    """Return an unconnected socket of the network that the workload is in. Raises OSError."""
    if not vendor:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_VENDOR_SECONDS)
        asking.connect(f"\0{vendor}")
        _, given, _, _ = socket.recv_fds(asking, 1, 1)
        if not given:
            raise OSError(errno.ECONNREFUSED, "the agent gives no socket")
        made = socket.socket(fileno=given[0])
        made.setblocking(False)
        return made


def listener(host: str, port: int) -> socket.socket:
    """Return a listener that several workers may open; on all addresses when ``host`` is empty."""
    family = socket.AF_INET6 if ":" in host or (not host and socket.has_dualstack_ipv6()) else 2
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for option in _INHERITED:
            sock.setsockopt(*option)
        if family == socket.AF_INET6 and not host:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
