"""Answers to ``connect()``: the guard decides on its own copy of the address, and connects itself.

The workload's thread stands still meanwhile, and what it might change in memory is not looked at
again, so there is nothing to race.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from functools import lru_cache
from typing import NamedTuple

from sentinel.guard import kernel
from sentinel.guard.addresses import LOOPBACK, fold, is_loopback, shown
from sentinel.guard.audit import Audit
from sentinel.guard.connections import Holder
from sentinel.guard.ladder import OWN, UDP_ALLOW, UDP_DENY, UDP_DNS, UDP_NETNS, Rung
from sentinel.guard.loop import Loop
from sentinel.guard.notification import Listener, Question
from sentinel.guard.outbound import Outbound
from sentinel.guard.sockets import KeptSockets
from sentinel.guard.tracee import Tracees, ids_of
from sentinel.guard.verdict import Decider

_UNSPECIFIED, _UNIX, _NETLINK = 0, 1, 16
_INET = (socket.AF_INET, socket.AF_INET6)
_FAMILY = struct.Struct("=H")
_SHORTEST, _LONGEST = 2, 128
_RESTART = 512
"""ERESTARTSYS: the kernel then does what the signal's SA_RESTART says."""
_POLL_SECONDS = 0.1
_MAX_LOST = 256
IN_PROGRESS = (errno.EINPROGRESS, errno.EALREADY)
_LET_THROUGH, WAITS, _GONE = -1, -2, -3
"""Instead of an errno: the kernel makes the call, the network has not answered, nobody asks now."""


class Pending(NamedTuple):
    """A blocking connect that waits for the network."""

    question: Question
    copy: int
    inode: int
    raw: bytes
    deadline: float
    target: tuple[bytes, int]


class Connects:
    """Decides on connects and makes them."""

    def __init__(  # noqa: PLR0917 -- wired in one place
        self,
        loop: Loop,
        listener: Listener,
        tracees: Tracees,
        decider: Decider,
        audit: Audit,
        rung: Rung,
        kept: KeptSockets,
        *,
        kernel_unix: bool,
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._tracees = tracees
        self._decider = decider
        self._audit = audit
        self._rung = rung
        self._kept = kept
        self._kernel_unix = kernel_unix
        self.outbound = Outbound()
        self.redirects: set[tuple[bytes, int]] = set()
        """Resolvers: connects to them are led to ``resolver_port`` on this machine."""
        self.resolver_port = 0
        self._by_inode = rung.connect == OWN or not listener.keeps_answers
        """Whether every socket must be known again, and not only those that lead out."""
        self._pending: dict[int, Pending] = {}
        self._lost: dict[int, tuple[int, bytes]] = {}
        self._deadlines: dict[int, float] = {}
        self._polling = False

    def answer(self, question: Question) -> None:
        """Answer one ``connect()``; raises OSError for what the workload gave us."""
        length = question.word(2)
        if not _SHORTEST <= length <= _LONGEST:
            self._listener.answer(question.id, error=errno.EINVAL)
            return
        raw, copy = self._asked(question, length)
        if copy < 0:
            return
        try:
            code, inode = self._decide(question, copy, raw)
        except BaseException:
            os.close(copy)
            raise
        if code == WAITS:
            return
        # Before the answer: who is answered takes this CPU over, so that what is left to do here
        # stands in the way of its next call, and its own close() is to be the last one.
        os.close(copy)
        self._finish(question, code, inode, raw)

    def _asked(self, question: Question, length: int) -> tuple[bytes, int]:
        """Return the address and our copy of the socket, or -1 when the question is answered."""
        asked = question.thread, question.second, length, question.word(0)
        if self._rung.connect != OWN:
            return self._tracees.address_and_descriptor(*asked)
        raw, inode = self._tracees.address_and_inode(*asked)
        copy = self._kept.copy(inode)
        if copy is not None:
            return raw, copy
        family = _FAMILY.unpack_from(raw)[0]
        if self._kernel_unix and family not in (*_INET, _UNSPECIFIED):
            self._listener.let_through(question.id)  # Landlock holds every TCP connect anyway
        else:
            self._listener.answer(
                question.id, error=errno.EISCONN if family in _INET else errno.EPERM
            )
        return raw, -1

    def _decide(self, question: Question, copy: int, raw: bytes) -> tuple[int, int]:
        """Return what to answer, and the inode of the socket where what came of it must be noted.

        With ``WAITS`` the copy is kept until the network has answered.
        """
        if not self._listener.waits(question.id):
            return _GONE, 0
        domain, kind = kernel.socket_kind(copy)
        if domain in _INET:
            return self._connect_inet(question, copy, raw, stream=kind == socket.SOCK_STREAM)
        if domain == _UNIX and self._kernel_unix:
            return _LET_THROUGH, 0
        if domain == _UNIX:
            return self._connect_unix(question, copy, raw)
        return kernel.connect(copy, raw) if domain == _NETLINK else errno.EAFNOSUPPORT, 0

    def _connect_inet(
        self, question: Question, copy: int, raw: bytes, *, stream: bool
    ) -> tuple[int, int]:
        target = read_address(raw)
        if not stream and self._rung.udp == UDP_NETNS:
            return kernel.connect(copy, raw), 0
        if target is None:
            return self._connect_nowhere(copy, raw), 0
        if target in self.redirects:
            raw = self._redirected(_FAMILY.unpack_from(raw)[0])
            target = LOOPBACK, self.resolver_port
        elif code := self._refusal(question, target, stream=stream):
            return code, 0
        return self._connect(question, copy, raw, target, stream=stream)

    @staticmethod
    def _connect_nowhere(copy: int, raw: bytes) -> int:
        """Return the errno for an address that is not inet, or dissolve what is connected."""
        family = _FAMILY.unpack_from(raw)[0]
        if family == _UNSPECIFIED:
            return kernel.connect(copy, raw)
        return errno.EINVAL if family in _INET else errno.EAFNOSUPPORT

    def _redirected(self, family: int) -> bytes:
        port = struct.pack(">H", self.resolver_port)
        if family == socket.AF_INET:
            return struct.pack("=H", family) + port + b"\x7f\0\0\1" + b"\0" * 8
        mapped = b"\0" * 10 + b"\xff\xff\x7f\0\0\1"
        return struct.pack("=H", family) + port + b"\0" * 4 + mapped + b"\0" * 4

    def _refusal(self, question: Question, target: tuple[bytes, int], *, stream: bool) -> int:
        """Return the errno of a denied destination, 0 for an allowed one."""
        address, port = target
        if not stream and self._rung.udp == UDP_ALLOW:
            return 0
        verdict = self._decider.decide(address, port)
        if verdict.allowed and (stream or verdict.reason == "loopback"):
            return 0
        if not stream and self._rung.udp in (UDP_DNS, UDP_DENY):
            return errno.ENETUNREACH  # getaddrinfo sorts addresses that way: no noise
        self._audit.deny(
            "tcp", shown(address), port, verdict.reason, name=verdict.name, pid=question.thread
        )
        return errno.EACCES if self._audit.enforces else 0

    def _connect(
        self, question: Question, copy: int, raw: bytes, target: tuple[bytes, int], *, stream: bool
    ) -> tuple[int, int]:
        leads_out = not is_loopback(target[0])
        inode = os.fstat(copy).st_ino if leads_out or self._by_inode else 0
        if stream and leads_out:
            self.outbound.remember(inode, *target)
        else:
            self.outbound.forget(inode)
        self._audit.allowed()
        lost = self._lost.pop(inode, None) if self._lost else None
        if lost and lost[1] == raw:  # a signal took our last answer away: give it now
            return lost[0], inode
        if not stream or not os.get_blocking(copy):
            return kernel.connect(copy, raw), inode
        code = _connect_now(copy, raw, blocks=True, twice=True)
        if code in IN_PROGRESS:
            return self.wait(question, copy, raw, target), inode
        return code, inode

    # -- blocking connects that take time

    def wait(self, question: Question, copy: int, raw: bytes, target: tuple[bytes, int]) -> int:
        """Answer when the network has, and keep the copy until then; returns ``WAITS``."""
        inode = os.fstat(copy).st_ino
        deadline = self._deadline(copy, inode)
        self._wait(Pending(question, copy, inode, raw, deadline, target))
        return WAITS

    def _deadline(self, copy: int, inode: int) -> float:
        """Return when SO_SNDTIMEO ends the call; a restarted call goes on with the old clock."""
        for pending in list(self._pending.values()):
            if pending.inode == inode:
                self._drop(pending)
                return pending.deadline
        if inode in self._deadlines:
            return self._deadlines.pop(inode)
        patience = kernel.send_timeout(copy)
        return time.monotonic() + patience if patience else float("inf")

    def _wait(self, pending: Pending) -> None:
        self._pending[pending.question.id] = pending
        events = select.EPOLLOUT | select.EPOLLONESHOT
        self._loop.watch(pending.copy, lambda _events: self._connected(pending), events)
        if pending.deadline != float("inf"):
            self._loop.later(
                max(0.0, pending.deadline - time.monotonic()), lambda: self._expire(pending)
            )
        if not self._polling:
            self._polling = True
            self._loop.later(_POLL_SECONDS, self._poll)

    def _connected(self, pending: Pending) -> None:
        """Connect a second time: that gives the kernel's own verdict, and the socket's state."""
        code = _connect_now(pending.copy, pending.raw, blocks=os.get_blocking(pending.copy))
        if code in IN_PROGRESS:
            self._loop.rewatch(pending.copy, select.EPOLLOUT | select.EPOLLONESHOT)
            return
        self._drop(pending)
        code = 0 if code == errno.EISCONN else code
        self._finish(pending.question, code, pending.inode, pending.raw)

    def _expire(self, pending: Pending) -> None:
        if self._pending.get(pending.question.id) is pending:
            self._drop(pending)
            self._listener.answer(pending.question.id, error=errno.EINPROGRESS)

    def _poll(self) -> None:
        """Look for signals: a waiting call must be interruptible as the kernel's own is."""
        for pending in list(self._pending.values()):
            question = pending.question
            if self._listener.keeps_answers and kernel.signal_waits(question.thread):
                self._drop(pending)
                timed = pending.deadline != float("inf")
                if timed:
                    self._keep_deadline(pending)
                self._listener.answer(question.id, error=errno.EINTR if timed else _RESTART)
            elif not self._listener.waits(question.id):
                self._drop(pending)
        self._polling = bool(self._pending)
        if self._polling:
            self._loop.later(_POLL_SECONDS, self._poll)

    def _keep_deadline(self, pending: Pending) -> None:
        if len(self._deadlines) >= _MAX_LOST:
            self._deadlines.clear()
        self._deadlines[pending.inode] = pending.deadline

    def _drop(self, pending: Pending) -> None:
        del self._pending[pending.question.id]
        self._loop.forget(pending.copy)
        os.close(pending.copy)

    def end_denied_waits(self) -> None:
        """Refuse waiting connects that the policy in force denies."""
        for pending in list(self._pending.values()):
            if not self._decider.decide(*pending.target).allowed:
                kernel.connect(pending.copy, b"\0" * 16)  # dissolve: no packet follows
                self._drop(pending)
                self._listener.answer(pending.question.id, error=errno.EACCES)

    def _finish(self, question: Question, code: int, inode: int, raw: bytes) -> None:
        """Answer, after what the answer means for the socket was noted."""
        if code == _LET_THROUGH:
            self._listener.let_through(question.id)
        elif code != _GONE:
            if inode and self._rung.connect == OWN:
                self.settle((question.thread, question.word(0)), code, inode)
            taken = self._listener.answer(question.id, error=code)
            if not taken and inode and not self._listener.keeps_answers:
                self._keep_answer(code, inode, raw)

    def settle(self, asking: Holder, code: int, inode: int) -> None:
        """Note what becomes of the guard's own copy, before ``asking`` gets the answer."""
        holder = asking if self._audit.enforces and inode in self.outbound else None
        if code == 0:
            self._kept.connected(inode, holder)
        elif code in IN_PROGRESS:
            self._kept.when_connected(inode, holder)

    def _keep_answer(self, code: int, inode: int, raw: bytes) -> None:
        if len(self._lost) >= _MAX_LOST:
            self._lost.clear()
        self._lost[inode] = (code, raw)

    # -- Unix sockets, where Landlock does not hold TCP connects

    def _connect_unix(self, question: Question, copy: int, raw: bytes) -> tuple[int, int]:
        """Connect for the workload: letting the kernel do it could be raced into a TCP connect.

        The peer sees the guard's process id; user and group are right, for we never lend ours.
        """
        inode, path = os.fstat(copy).st_ino, raw[2:]
        if not path or path[:1] == b"\0":
            return kernel.connect(copy, raw), inode
        if ids_of(question.thread)[0] != os.geteuid():
            return errno.EACCES, 0
        path = path.split(b"\0")[0]
        base = b"root" if path[:1] == b"/" else b"cwd/"
        place = os.open(b"/proc/%d/%s%s" % (question.thread, base, path), os.O_PATH | os.O_CLOEXEC)
        try:
            if not self._listener.waits(question.id):
                return _GONE, 0
            named = struct.pack("=H", _UNIX) + b"/proc/self/fd/%d\0" % place
            blocks = os.get_blocking(copy)  # a full backlog would block the guard
            return _connect_now(copy, named, blocks=blocks), inode
        finally:
            os.close(place)


@lru_cache(maxsize=1024)
def read_address(raw: bytes) -> tuple[bytes, int] | None:
    """Return the folded address and port of an inet socket address, None for others."""
    family, port = _FAMILY.unpack_from(raw)[0], int.from_bytes(raw[2:4], "big")
    if family == socket.AF_INET and len(raw) >= 16:
        return fold(raw[4:8]), port
    if family == socket.AF_INET6 and len(raw) >= 24:
        return fold(raw[8:24]), port
    return None


def _connect_now(copy: int, raw: bytes, *, blocks: bool, twice: bool = False) -> int:
    """Connect without blocking and return the errno; loopback is done at the second call."""
    os.set_blocking(copy, False)
    code = kernel.connect(copy, raw)
    if twice and code in IN_PROGRESS:
        code = kernel.connect(copy, raw)
    os.set_blocking(copy, blocks)
    return code
