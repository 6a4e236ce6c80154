"""Which sockets lead out, so that a new policy can end the connections it denies."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import NamedTuple

from sentinel.guard.addresses import fold, shown
from sentinel.guard.tracee import Tracees
from sentinel.guard.verdict import Decider

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_INODE_COLUMN = 9
_FIRST_LIMIT = 8192


class Replaced(NamedTuple):
    """What a change of policy did: connections ended, and those that live on."""

    closed: int = 0
    remaining: tuple[str, ...] = ()


class Outbound:
    """Remembers inode, address and port of every connect that was allowed."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[bytes, int]] = {}
        self._limit = _FIRST_LIMIT

    def remember(self, inode: int, address: bytes, port: int) -> None:
        """Note a connect; entries of closed sockets are swept when there are many."""
        if len(self._known) >= self._limit:
            live = _live_inodes()
            self._known = {each: to for each, to in self._known.items() if each in live}
            self._limit = max(_FIRST_LIMIT, 2 * len(self._known))
        self._known[inode] = (address, port)

    def end_denied(self, decider: Decider, tracees: Tracees | None) -> Replaced:
        """Shut down connections that are denied now, through copies of the processes' sockets.

        Without ``tracees`` (no copies here) they are only named.
        """
        live = _live_inodes()
        denied = {
            inode: to
            for inode, to in self._known.items()
            if inode in live and not decider.decide(*to).allowed
        }
        ended = _shut_down(denied, tracees) if tracees and denied else set()
        left = tuple(
            f"{shown(address)}:{port}"
            for inode, (address, port) in denied.items()
            if inode not in ended
        )
        for inode in ended:
            del self._known[inode]
        return Replaced(len(ended), left)


def _live_inodes() -> set[int]:
    live = set()
    for path in _TABLES:
        with suppress(OSError), open(path, encoding="utf-8") as file:
            live |= {int(line.split()[_INODE_COLUMN]) for line in list(file)[1:]}
    return live - {0}


def _shut_down(denied: dict[int, tuple[bytes, int]], tracees: Tracees) -> set[int]:
    """Return the inodes whose connection was ended."""
    ended: set[int] = set()
    for process in _processes():
        for number, inode in _sockets_of(process):
            if inode in denied and inode not in ended:
                try:
                    copy = socket.socket(fileno=tracees.descriptor(process, number))
                except OSError:
                    continue
                with copy:
                    if _end(copy, denied[inode]):
                        ended.add(inode)
    return ended


def _end(copy: socket.socket, expected: tuple[bytes, int]) -> bool:
    """End a connection if it still leads where it was allowed to lead."""
    try:
        address, port = copy.getpeername()[:2]
        packed = fold(socket.inet_pton(copy.family, address.partition("%")[0]))
        if (packed, port) == expected:
            copy.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return True


def _processes() -> list[int]:
    own = os.getpid()
    return [int(each) for each in os.listdir("/proc") if each.isdigit() and int(each) != own]


def _sockets_of(process: int) -> list[tuple[int, int]]:
    """Return descriptor numbers and inodes of a process's sockets."""
    found = []
    try:
        for number in os.listdir(f"/proc/{process}/fd"):
            target = os.readlink(f"/proc/{process}/fd/{number}")
            if target.startswith("socket:["):
                found.append((int(number), int(target[8:-1])))
    except OSError:
        return found
    return found


def held_inodes() -> set[int]:
    """Return the inodes of all sockets that other processes hold."""
    return {inode for process in _processes() for _, inode in _sockets_of(process)}
