"""Packed addresses: folded so that one destination has one form, and the ranges that matter."""

from __future__ import annotations

import ipaddress
import socket
from typing import Union

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

LOOPBACK = b"\x7f\0\0\1"
_MAPPED = b"\0" * 10 + b"\xff\xff"
_NAT64 = bytes.fromhex("0064ff9b") + b"\0" * 8
_LOCAL6 = (b"\0" * 16, b"\0" * 15 + b"\1")
_INWARD = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/3",
        "::/127",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    )
)
"""Where a public name must not lead: the inside of the provider's network, and this machine."""


def fold(packed: bytes) -> bytes:
    """Return the address that the kernel would reach: IPv4 out of ::ffff:0:0/96 and loopback."""
    if len(packed) == 16 and packed[:12] == _MAPPED:
        packed = packed[12:]
    return LOOPBACK if packed in _LOCAL6 or packed == b"\0\0\0\0" else packed


def is_loopback(packed: bytes) -> bool:
    """Return whether a folded address stays on this machine."""
    return len(packed) == 4 and packed[0] == 127


def is_inward(packed: bytes) -> bool:
    """Return whether a public name may not lead there (DNS rebinding)."""
    inner = packed[12:] if packed[:12] in (_MAPPED, _NAT64) else packed
    address = ipaddress.ip_address(inner)
    return any(address.version == net.version and address in net for net in _INWARD)


def shown(packed: bytes) -> str:
    """Return the address as people write it."""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def packed(text: str) -> bytes:
    """Return a written address, folded; raises OSError when it is none."""
    return fold(socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text))
