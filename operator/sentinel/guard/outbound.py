"""Which sockets lead out, so that a new policy can end the connections it denies."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import suppress
from typing import NamedTuple

from sentinel.guard import kernel
from sentinel.guard.addresses import fold, shown
from sentinel.guard.tracee import Tracees
from sentinel.guard.verdict import Decider

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_INODE_COLUMN = 9
_FIRST_LIMIT = 8192
_SYN_SENT = 2
_UNSPECIFIED = b"\0" * 16
Copies = Callable[[Set[int]], Iterable[tuple[int, int]]]
"""Gives inodes of those wanted with copies of their sockets, which the caller closes."""


class Replaced(NamedTuple):
    """What a change of policy did: connections ended, and where those that live on lead."""

    closed: int = 0
    remaining: tuple[str, ...] = ()


class Outbound:
    """Remembers inode, address and port of every connect that was allowed."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[bytes, int]] = {}
        self._left: dict[int, tuple[bytes, int]] = {}
        self._limit = _FIRST_LIMIT

    def remember(self, inode: int, address: bytes, port: int) -> None:
        """Note a connect; entries of closed sockets are swept when there are many."""
        if len(self._known) >= self._limit:
            live = _live_inodes()
            self._known = {each: to for each, to in self._known.items() if each in live}
            self._limit = max(_FIRST_LIMIT, 2 * len(self._known))
        self._known[inode] = (address, port)

    def forget(self, inode: int) -> None:
        """Note that the socket leads out no more, if ever it did."""
        self._known.pop(inode, None)

    def __contains__(self, inode: int) -> bool:
        return inode in self._known

    def end_denied(self, decider: Decider, copies: Copies) -> Replaced:
        """End connections that are denied now, made or being made; the others are named."""
        return self._ended(self._known, decider, copies)

    def end_left(self, decider: Decider, copies: Copies) -> Replaced:
        """Try again what could not be ended, and name what still cannot.

        A socket on its way through a Unix socket (SCM_RIGHTS) is in no process's hands: it is found
        once it comes out. What was closed, or connected to another place, is named no more.
        """
        left = {inode: to for inode, to in self._left.items() if self._known.get(inode) == to}
        return self._ended(left, decider, copies)

    def _ended(
        self, known: dict[int, tuple[bytes, int]], decider: Decider, copies: Copies
    ) -> Replaced:
        live = _live_inodes()
        denied = {
            inode: to for inode, to in known.items() if inode in live and not decider.keeps(*to)
        }
        ended = _shut_down(denied, copies) if denied else set()
        self._left = {inode: to for inode, to in denied.items() if inode not in ended}
        for inode in ended:
            del self._known[inode]
        left = sorted({f"{shown(address)}:{port}" for address, port in self._left.values()})
        return Replaced(len(ended), tuple(left))


def _live_inodes() -> set[int]:
    live = set()
    for path in _TABLES:
        with suppress(OSError), open(path, encoding="utf-8") as file:
            live |= {int(line.split()[_INODE_COLUMN]) for line in list(file)[1:]}
    return live - {0}


def _shut_down(denied: dict[int, tuple[bytes, int]], copies: Copies) -> set[int]:
    """Return the inodes whose connection was ended."""
    ended: set[int] = set()
    for inode, copy in copies(denied.keys()):
        with socket.socket(fileno=copy) as one:
            if inode not in ended and _end(one, denied[inode]):
                ended.add(inode)
    return ended


def copied(tracees: Tracees) -> Copies:
    """Return how to copy sockets out of the processes that hold them."""

    def copies(wanted: Set[int]) -> Iterator[tuple[int, int]]:
        for inode, process, number in holders(tracees):
            if inode in wanted:
                try:
                    copy = tracees.descriptor(process, number)
                except OSError:
                    continue
                yield inode, copy

    return copies


def _end(copy: socket.socket, expected: tuple[bytes, int]) -> bool:
    """End a connection if it still leads where it was allowed to lead."""
    try:
        address, port = copy.getpeername()[:2]
        packed = fold(socket.inet_pton(copy.family, address.partition("%")[0]))
        if (packed, port) == expected:
            copy.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        return error.errno == errno.ENOTCONN and _dissolve(copy)
    return True


def _dissolve(copy: socket.socket) -> bool:
    """Give up a connect that the far end has not answered; returns whether none is under way."""
    if copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _SYN_SENT:
        return True
    return kernel.connect(copy.fileno(), _UNSPECIFIED) == 0


def _processes() -> list[int]:
    own = os.getpid()
    return [int(each) for each in os.listdir("/proc") if each.isdigit() and int(each) != own]


def holders(tracees: Tracees) -> Iterator[tuple[int, int, int]]:
    """Give inode, process and descriptor number of all sockets that other processes hold."""
    for process in _processes():
        with suppress(OSError):
            for number, inode in tracees.sockets(process):
                yield inode, process, number
