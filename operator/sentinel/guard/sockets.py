"""Answers to ``socket()``: only what the filter could not decide alone comes here."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Iterator, Set
from contextlib import suppress

from sentinel.guard.annex import Annex
from sentinel.guard.audit import Audit
from sentinel.guard.connections import Connections, Holder
from sentinel.guard.ladder import OWN, UDP_ALLOW, UDP_DNS, UDP_NETNS, Rung
from sentinel.guard.loop import Loop
from sentinel.guard.notification import Listener, Question
from sentinel.guard.outbound import holders
from sentinel.guard.tracee import Tracees

_TYPE_BITS = 0xF
_SO_DONTROUTE = 5
_IPPROTO_MPTCP = 262
_INET = (socket.AF_INET, socket.AF_INET6)
_DATAGRAM = (0, socket.IPPROTO_UDP)
_STREAM = (0, socket.IPPROTO_TCP)
_YOUNG_SECONDS = 3.0
_MAX_KEPT = 4096
_SETTLED = select.EPOLLOUT | select.EPOLLONESHOT


class KeptSockets:
    """The guard's copies of sockets that it made for the workload, by inode, until they connect.

    Those that then lead out go over to ``Connections``.
    """

    def __init__(self, loop: Loop, tracees: Tracees) -> None:
        self._loop = loop
        self._tracees = tracees
        self._connections = Connections(loop, tracees)
        self._kept: dict[int, tuple[int, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._kept)

    def keep(self, descriptor: int) -> None:
        """Own a descriptor."""
        self._kept[os.fstat(descriptor).st_ino] = (descriptor, time.monotonic())

    def copy(self, inode: int) -> int | None:
        """Return a duplicate of what is kept."""
        kept = self._kept.get(inode)
        return None if kept is None else os.dup(kept[0])

    def original(self, inode: int) -> int:
        """Return what is kept, and stays so; -1 for none."""
        kept = self._kept.get(inode)
        return -1 if kept is None else kept[0]

    def copies(self, wanted: Set[int]) -> Iterator[tuple[int, int]]:
        """Give the inodes of those wanted that are kept or connected, each with a copy."""
        for inode in wanted & self._kept.keys():
            yield inode, os.dup(self._kept[inode][0])
        yield from self._connections.copies(wanted)

    def drop(self, inode: int) -> None:
        """Close our copy: from then on the workload's close() ends the connection."""
        if kept := self._kept.pop(inode, None):
            self._loop.forget(kept[0])
            os.close(kept[0])

    def connected(self, inode: int, holder: Holder | None) -> None:
        """Hold the connection that came about; None drops it, for it need not be ended."""
        if holder is None:
            self.drop(inode)
        elif kept := self._kept.pop(inode, None):
            self._loop.forget(kept[0])
            self._connections.hold(inode, kept[0], holder)

    def when_connected(self, inode: int, holder: Holder | None) -> None:
        """Do ``connected`` once the connect has succeeded; after a failure it may try again."""
        if kept := self._kept.get(inode):
            self._loop.forget(kept[0])
            self._loop.watch(kept[0], lambda _events: self._settled(inode, holder), _SETTLED)

    def _settled(self, inode: int, holder: Holder | None) -> None:
        descriptor = self._kept[inode][0]
        self._loop.forget(descriptor)
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:
            copy.getpeername()
            self.connected(inode, holder)

    @property
    def full(self) -> bool:
        """Whether a sweep is due before the next one is made."""
        return len(self._kept) >= _MAX_KEPT

    def sweep(self) -> None:
        """Drop copies whose owner is gone."""
        old = time.monotonic() - _YOUNG_SECONDS
        candidates = {inode for inode, (_, made) in self._kept.items() if made < old}
        if candidates:
            for inode in candidates - {inode for inode, *_ in holders(self._tracees)}:
                self.drop(inode)

    def close(self) -> None:
        """Give all copies up."""
        for inode in list(self._kept):
            self.drop(inode)
        self._connections.close()


class Sockets:
    """Makes the sockets that the workload may have and that must not be its own making."""

    def __init__(  # noqa: PLR0917 -- wired in one place
        self,
        loop: Loop,
        listener: Listener,
        tracees: Tracees,
        audit: Audit,
        rung: Rung,
        annex: Annex | None,
    ) -> None:
        self._listener = listener
        self._audit = audit
        self._rung = rung
        self._annex = annex
        self.kept = KeptSockets(loop, tracees)

    def answer(self, question: Question) -> None:
        """Answer one ``socket()``."""
        family, kind, protocol = (question.word(index) for index in range(3))
        made = self._made(family, kind, protocol)
        if made is None:
            self._refuse(question, family, kind & _TYPE_BITS, protocol)
            return
        keeps = self._rung.connect == OWN
        if keeps:  # before the answer, see Connects.answer
            if self.kept.full:
                self.kept.sweep()
            self.kept.keep(made)
        try:
            self._listener.give(question.id, made, close_on_exec=bool(kind & socket.SOCK_CLOEXEC))
        finally:
            if not keeps:
                os.close(made)

    def _made(self, family: int, kind: int, protocol: int) -> int | None:
        blocking = kind & socket.SOCK_NONBLOCK
        plain = kind & _TYPE_BITS
        if plain == socket.SOCK_DGRAM and family in _INET and protocol in _DATAGRAM:
            return self._datagram(family, blocking)
        own = self._rung.connect == OWN
        stream = plain == socket.SOCK_STREAM and family in _INET and protocol in _STREAM
        if own and (stream or family == socket.AF_UNIX):
            return socket.socket(family, plain | blocking, protocol).detach()
        return None

    def _datagram(self, family: int, blocking: int) -> int | None:
        kind = socket.SOCK_DGRAM | blocking
        if self._rung.udp == UDP_NETNS and self._annex:
            return self._annex.make(family, kind)
        if self._rung.udp == UDP_ALLOW:
            return socket.socket(family, kind).detach()
        if self._rung.udp == UDP_DNS and family == socket.AF_INET:
            one = socket.socket(family, kind)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
            one.setsockopt(socket.SOL_SOCKET, _SO_DONTROUTE, 1)
            return one.detach()
        return None

    def _refuse(self, question: Question, family: int, plain: int, protocol: int) -> None:
        pid = question.thread
        if family in _INET and plain == socket.SOCK_DGRAM and protocol in _DATAGRAM:
            self._audit.deny("udp", "any", 0, "no-udp", pid=pid)
            code = errno.EACCES if family == socket.AF_INET else errno.EAFNOSUPPORT
        else:
            what = f"family-{family}-type-{plain}-protocol-{protocol}"
            self._audit.deny("socket", what, 0, "not-tcp", pid=pid)
            code = errno.EACCES if family in _INET else errno.EAFNOSUPPORT
            code = errno.EPROTONOSUPPORT if protocol == _IPPROTO_MPTCP else code
        self._listener.answer(question.id, error=code)
