"""The answer to nearly every ``connect()``: TCP to an allowed address, from a thread known before.

What it does is what ``Connects`` does, in the same order; only written out, for each call, each
object and each line of code that is left out takes a microsecond or two off the connect: they are
cold when the kernel wakes the guard. Whatever is the least out of the ordinary goes to
``Connects``, from the start, before anything was done.
"""

from __future__ import annotations

import os

from sentinel.guard import kernel
from sentinel.guard.audit import Audit
from sentinel.guard.connections import Holder
from sentinel.guard.connects import IN_PROGRESS, WAITS, Connects, read_address
from sentinel.guard.kernel import connect, copy_descriptor, is_tcp
from sentinel.guard.notification import START, Listener, question_of
from sentinel.guard.sockets import KeptSockets
from sentinel.guard.tracee import Tracee, Tracees, inode_of
from sentinel.guard.verdict import Decider

_CONNECT = kernel.NUMBERS["connect"]
_LENGTHS = (16, 28)
"""Of socket addresses of IPv4 and IPv6."""
_WORD = 0xFFFFFFFF


class FastPath:
    """For rungs that copy descriptors, and only where a signal cannot take an answer away."""

    def __init__(
        self,
        listener: Listener,
        tracees: Tracees,
        decider: Decider,
        audit: Audit,
        connects: Connects,
    ) -> None:
        self._listener = listener
        self._tracees = tracees
        self._known = tracees.known
        self._decide = decider.decide
        self._audit = audit
        self._connects = connects

    def answered(self, request: bytearray) -> bool:
        """Answer the question, or return False when nothing was done yet."""
        question, thread, number, descriptor, address, length = START.unpack_from(request)
        tracee = self._known.get(thread)
        if tracee is None or number != _CONNECT or length not in _LENGTHS:
            return False
        asking = thread, descriptor & _WORD
        try:
            raw = os.pread(tracee.memory, length, address)
            if len(raw) != length:
                self._tracees.forget(thread)
                return False
            target = read_address(raw)
            if target is None or target in self._connects.redirects:
                return False
            verdict = self._decide(*target)
            if not verdict.allowed:
                return False
            ours, inode = self._socket(tracee, asking)
        except (OSError, OverflowError):  # Connects looks again, and tells
            return False
        if not is_tcp(ours) or not self._listener.waits(question):
            self._release(ours)
            return False
        leads_out = verdict.reason != "loopback"
        try:
            code = self._connect(request, ours, inode, raw, target, leads_out=leads_out)
        except BaseException:
            self._release(ours)
            raise
        if code != WAITS:
            self._settle(asking, ours, inode, code)  # before the answer, see Connects.answer
            self._listener.answer(question, error=code)
        return True

    def _connect(
        self,
        request: bytearray,
        ours: int,
        inode: int,
        raw: bytes,
        target: tuple[bytes, int],
        *,
        leads_out: bool,
    ) -> int:
        if leads_out:
            self._connects.outbound.remember(inode or os.fstat(ours).st_ino, *target)
        elif inode:
            self._connects.outbound.forget(inode)
        self._audit.allowed()
        if not os.get_blocking(ours):
            return connect(ours, raw)
        os.set_blocking(ours, False)
        code = connect(ours, raw)
        if code in IN_PROGRESS:  # loopback is done by now
            code = connect(ours, raw)
        os.set_blocking(ours, True)
        if code in IN_PROGRESS:
            return self._connects.wait(question_of(request), self._own(ours), raw, target)
        return code

    # -- the guard's descriptor of the socket

    def _socket(self, tracee: Tracee, asking: Holder) -> tuple[int, int]:
        """Return a descriptor and, where it must be noted at once, the inode; raises OSError."""
        return copy_descriptor(tracee.process, asking[1]), 0

    def _release(self, ours: int) -> None:
        os.close(ours)

    def _own(self, ours: int) -> int:
        """Return a descriptor that who gets it closes."""
        return ours

    def _settle(self, _asking: Holder, ours: int, _inode: int, _code: int) -> None:
        os.close(ours)


class OwnFastPath(FastPath):
    """For rungs whose sockets the guard made itself, and still has."""

    def __init__(  # noqa: PLR0917 -- wired in one place
        self,
        listener: Listener,
        tracees: Tracees,
        decider: Decider,
        audit: Audit,
        connects: Connects,
        kept: KeptSockets,
    ) -> None:
        super().__init__(listener, tracees, decider, audit, connects)
        self._kept = kept

    def _socket(self, _tracee: Tracee, asking: Holder) -> tuple[int, int]:
        inode = inode_of(*asking)
        return self._kept.original(inode), inode

    def _release(self, ours: int) -> None:
        pass

    def _own(self, ours: int) -> int:
        return os.dup(ours)

    def _settle(self, asking: Holder, _ours: int, inode: int, code: int) -> None:
        self._connects.settle(asking, code, inode)
