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
from sentinel.guard.connects import IN_PROGRESS, WAITS, Connects, read_address
from sentinel.guard.kernel import connect, copy_descriptor, is_tcp
from sentinel.guard.notification import START, Listener, question_of
from sentinel.guard.tracee import Tracees
from sentinel.guard.verdict import Decider

_CONNECT = kernel.NUMBERS["connect"]
_LENGTHS = (16, 28)
"""Of socket addresses of IPv4 and IPv6."""
_WORD = 0xFFFFFFFF


class FastPath:
    """Only for rungs that copy descriptors, and where a signal cannot take an answer away."""

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
            copy = copy_descriptor(tracee.process, descriptor & _WORD)
        except (OSError, OverflowError):  # Connects looks again, and tells
            return False
        if not is_tcp(copy) or not self._listener.waits(question):
            os.close(copy)
            return False
        leads_out = verdict.reason != "loopback"
        try:
            code = self._connect(request, copy, raw, target, leads_out=leads_out)
        except BaseException:
            os.close(copy)
            raise
        if code != WAITS:
            os.close(copy)  # before the answer, see Connects.answer
            self._listener.answer(question, error=code)
        return True

    def _connect(
        self,
        request: bytearray,
        copy: int,
        raw: bytes,
        target: tuple[bytes, int],
        *,
        leads_out: bool,
    ) -> int:
        if leads_out:
            self._connects.outbound.remember(os.fstat(copy).st_ino, *target)
        self._audit.allowed()
        if not os.get_blocking(copy):
            return connect(copy, raw)
        os.set_blocking(copy, False)
        code = connect(copy, raw)
        if code in IN_PROGRESS:  # loopback is done by now
            code = connect(copy, raw)
        os.set_blocking(copy, True)
        if code in IN_PROGRESS:
            return self._connects.wait(question_of(request), copy, raw, target)
        return code
