"""Addresses of a network device, by netlink: gVisor takes them in no other way.

Source: rtnetlink(7).
"""

from __future__ import annotations

import errno
import os
import socket
import struct

_NEW_LINK, _NEW_ADDRESS, _ERROR = 16, 20, 2
_REQUEST, _ACKNOWLEDGE, _CREATE = 1, 4, 0x400
_IFF_UP = 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2


def bring_up(device: str) -> None:
    """Bring a device up; raises OSError."""
    index = socket.if_nametoindex(device)
    _ask(_NEW_LINK, 0, struct.pack("=BBHiII", 0, 0, 0, index, _IFF_UP, _IFF_UP))
    if device == "lo":
        add_address(device, "127.0.0.1", 8)


def add_address(device: str, address: str, prefix: int) -> None:
    """Give a device an address; one that it has already is no error. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    index = socket.if_nametoindex(device)
    body = struct.pack("=BBBBI", family, prefix, 0, 0, index)
    for kind in (_IFA_LOCAL, _IFA_ADDRESS):
        body += struct.pack("=HH", 4 + len(packed), kind) + packed
    try:
        _ask(_NEW_ADDRESS, _CREATE, body)
    except FileExistsError:
        return


def _ask(kind: int, flags: int, body: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as one:
        one.bind((0, 0))
        flags |= _REQUEST | _ACKNOWLEDGE
        one.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        reply = one.recv(4096)
    if struct.unpack_from("=H", reply, 4)[0] != _ERROR:
        raise OSError(errno.EPROTO, "netlink gave no acknowledgement")
    code = -struct.unpack_from("=i", reply, 16)[0]
    if code:
        raise OSError(code, f"netlink: {os.strerror(code)}")
