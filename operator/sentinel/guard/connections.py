"""Copies of connections that the guard made, to end them by when a new policy denies them."""

from __future__ import annotations

import resource
import socket
import struct
import time
from collections.abc import Iterator, Set
from contextlib import suppress
from typing import NamedTuple

from sentinel.guard.loop import Loop
from sentinel.guard.outbound import holders
from sentinel.guard.tracee import Tracees

_CHECK_SECONDS = 0.1
_SHARE = 20
"""Looking takes at most one twentieth of a processor: after a long look comes a long pause."""
_MOST, _PART_OF_DESCRIPTORS = 512, 4
_LINGER, _NO_LINGER = struct.Struct("=ii"), struct.pack("=ii", 0, 0)

Holder = tuple[int, int]
"""A thread of the workload, and the number of its descriptor."""


class _Held(NamedTuple):
    copy: int
    holder: Holder


class Connections:
    """Keeps a copy of each connection until no process of the workload has it any more.

    While there is a copy, the workload's close() does not tell the far end, so it is looked after
    every tenth of a second whether the socket is still where it was, then whether another process
    has it (dup, fork, exec); where nobody is seen to have it the copy is closed. What errs here
    errs to that side. Without copies nothing wakes the guard.
    """

    def __init__(self, loop: Loop, tracees: Tracees, most: int | None = None) -> None:
        self._loop = loop
        self._tracees = tracees
        self._most = _most_copies() if most is None else most
        self._held: dict[int, _Held] = {}
        self._looking = False

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, inode: int, copy: int, holder: Holder) -> None:
        """Own a copy of the holder's connection; where there are too many, give the oldest up."""
        self._held[inode] = _Held(copy, holder)
        if len(self._held) > self._most:
            self._release(next(iter(self._held)))
        if self._held and not self._looking:
            self._looking = True
            self._loop.later(_CHECK_SECONDS, self._look)

    def copies(self, wanted: Set[int]) -> Iterator[tuple[int, int]]:
        """Hand the copies over of those wanted that are held, each with its inode."""
        for inode in wanted & self._held.keys():
            yield inode, self._held.pop(inode).copy

    def close(self) -> None:
        """Give all copies up."""
        for inode in list(self._held):
            self._release(inode)

    def _look(self) -> None:
        began = time.thread_time()
        try:
            missing = {inode for inode, held in self._held.items() if not self._has(inode, held)}
            if missing:
                self._follow(missing)
        finally:
            self._looking = bool(self._held)
            if self._looking:
                taken = time.thread_time() - began
                self._loop.later(max(_CHECK_SECONDS, taken * _SHARE), self._look)

    def _has(self, inode: int, held: _Held) -> bool:
        try:
            return self._tracees.inode(*held.holder) == inode
        except OSError:  # closed, gone, or hidden from us
            return False

    def _follow(self, missing: set[int]) -> None:
        """Find who else has the connections, and give up those that nobody has."""
        for inode, *holder in holders(self._tracees):
            if inode in missing:
                missing.discard(inode)
                self._held[inode] = self._held[inode]._replace(holder=(holder[0], holder[1]))
                if not missing:
                    return
        for inode in missing:
            self._release(inode)

    def _release(self, inode: int) -> None:
        """Close a copy. It may be the last one, so SO_LINGER must not let the guard wait."""
        copy = self._held.pop(inode).copy
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, copy) as one, suppress(OSError):
            on, seconds = _LINGER.unpack(
                one.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.size)
            )
            if on and seconds:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def _most_copies() -> int:
    """Return for how many copies there is room beside what answering takes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if hard == resource.RLIM_INFINITY else min(_MOST, hard // _PART_OF_DESCRIPTORS)
