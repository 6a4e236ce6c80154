"""Which TCP connections lead out of the container, from /proc/net."""

from __future__ import annotations

import ipaddress
import sys
from contextlib import suppress

_ESTABLISHED, _LISTEN = "01", "0A"
_MOST = 100


def outbound() -> dict[tuple[str, int], int]:
    """Return how many connections each remote address and port has; loopback is left out.

    Connections to a port that something here listens on came in.
    """
    rows = [row for table in ("tcp", "tcp6") for row in _rows(table)]
    listening = {port(local) for local, _, state in rows if state == _LISTEN}
    found: dict[tuple[str, int], int] = {}
    for local, remote, state in rows:
        if state != _ESTABLISHED or port(local) in listening:
            continue
        host = address(remote)
        if not host.is_loopback and len(found) < _MOST:
            key = (str(host), port(remote))
            found[key] = found.get(key, 0) + 1
    return found


def _rows(table: str) -> list[tuple[str, str, str]]:
    with suppress(OSError), open(f"/proc/net/{table}", encoding="utf-8") as file:
        next(file)
        return [(fields[1], fields[2], fields[3]) for fields in map(str.split, file)]
    return []


def port(text: str) -> int:
    """Return the port of an entry."""
    return int(text.rpartition(":")[2], 16)


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address of an entry: 32-bit words in the machine's own order."""
    digits = text.partition(":")[0]
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    found = ipaddress.ip_address(packed)
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found
