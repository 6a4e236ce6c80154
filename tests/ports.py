"""Ports on loopback for programs that are told where to listen."""

from __future__ import annotations

import socket
from pathlib import Path
from random import SystemRandom

_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 10_000


def free_port() -> int:
    """Return a port that was free a moment ago, and that the kernel gives to no outgoing connection.

    Between the moment and the program's own bind, tests beside this one open connections by the dozen.
    """
    end = int(_OUTGOING.read_text().split()[0])
    for port in SystemRandom().sample(range(_FIRST, end), 100):
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"no free port among a hundred between {_FIRST} and {end}")


def free_ports(count: int) -> list[int]:
    """Return so many ports like ``free_port``'s, no two the same."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)
