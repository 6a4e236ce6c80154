"""Sockets inside another process's network namespace, without leaving one's own."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_NS_GET_USERNS = 0xB701
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_IFF_UP = 1
POD_ADDRESS = "10.244.0.2"
"""An address of the container's own besides loopback: what listens on 127.0.0.1 only is not
reachable at a provider, and must not be here."""

_T = TypeVar("_T")
_libc = ctypes.CDLL(None, use_errno=True)


def prepare(pid: int) -> None:
    """Bring loopback up in the process's network namespace and give it the pod's address."""
    within(of(pid), configure)


def is_up(pid: int) -> bool:
    """Return whether loopback is up in the process's network namespace, False when it has ended."""
    try:
        return "127.0.0.1\n" in Path(f"/proc/{pid}/net/fib_trie").read_text()
    except OSError:
        return False


async def connect(pid: int, port: int) -> socket.socket:
    """Return a socket connected to the port in the process's namespace; raises OSError."""
    made = within(of(pid), lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    made.setblocking(False)
    return await connected(made, POD_ADDRESS, port)


async def connected(made: socket.socket, host: str, port: int) -> socket.socket:
    """Connect a non-blocking socket, closing it on failure."""
    try:
        await asyncio.get_running_loop().sock_connect(made, (host, port))
    except BaseException:
        made.close()
        raise
    return made


def configure() -> None:
    """Bring loopback up in this thread's network namespace and give it the pod's address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        up = struct.unpack("16sH14x", flags)[1] | _IFF_UP
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", up))
        # A mask of its own: by default the whole block would be the container's.
        for request, value in ((_SIOCSIFADDR, POD_ADDRESS), (_SIOCSIFNETMASK, "255.255.255.255")):
            address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(control, request, struct.pack("16s16s8x", b"lo:0", address))


def of(pid: int) -> Path:
    """Return the process's network namespace."""
    return Path(f"/proc/{pid}/ns/net")


def within(namespace: Path, action: Callable[[], _T]) -> _T:
    """Return what ``action`` does in a network namespace; a thread of its own enters and dies.

    Raises OSError.
    """
    result: list[_T] = []
    failure: list[OSError] = []

    def run() -> None:
        try:
            enter(namespace)
            result.append(action())
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=run, name=f"netns {namespace}")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def enter(namespace: Path, *, as_owner: bool = False) -> None:
    """Move this thread into a network namespace; raises OSError.

    ``as_owner`` enters the user namespace that owns it before, as an ordinary user must; a process
    with several threads may not (setns(2)).
    """
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if as_owner:
            owner = fcntl.ioctl(descriptor, _NS_GET_USERNS)
            _setns(owner, _CLONE_NEWUSER)
            os.close(owner)
        _setns(descriptor, _CLONE_NEWNET)
    finally:
        os.close(descriptor)


def _setns(descriptor: int, kind: int) -> None:
    if _libc.setns(descriptor, kind):
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")
