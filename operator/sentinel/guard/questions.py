"""The kernel's questions: each goes to the part that knows its system call; the rest is denied."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress

from sentinel.guard import kernel
from sentinel.guard.audit import Audit
from sentinel.guard.connects import Connects
from sentinel.guard.fastpath import FastPath
from sentinel.guard.loop import READ, Loop
from sentinel.guard.notification import Listener, Question, question_of
from sentinel.guard.sockets import Sockets
from sentinel.guard.tracee import Tracees


class Questions:
    """Answers what the filter's listener asks, in the guard's own thread."""

    def __init__(
        self,
        loop: Loop,
        listener: Listener,
        *,
        tracees: Tracees,
        audit: Audit,
        sockets: Sockets,
        connects: Connects,
        fast: FastPath | None,
    ) -> None:
        self._loop = loop
        self._fast = fast
        self._listener = listener
        self._tracees = tracees
        self._audit = audit
        self._kept = sockets.kept
        self._answers: dict[int, Callable[[Question], None]] = {
            kernel.NUMBERS["connect"]: connects.answer,
            kernel.NUMBERS["socket"]: sockets.answer,
            kernel.NUMBERS["listen"]: self._let_listen,
        }

    def asked(self, events: int) -> None:
        """Answer one question, when the listener's descriptor has these events."""
        listener = self._listener
        if not events & READ:  # nobody is left under the filter, and nobody can come
            self._loop.forget(listener.descriptor)
            return
        received = listener.receive()
        if received is None:
            return
        try:
            if self._fast is None or not self._fast.answered(received):
                question = question_of(received)
                self._answers.get(question.number, self._deny)(question)
        except Exception as error:  # noqa: BLE001 -- a fault denies; it never lets through
            self._fail(question_of(received), error)

    def _let_listen(self, question: Question) -> None:
        with suppress(OSError):
            self._kept.drop(self._tracees.inode(question.thread, question.word(0)))
        self._listener.let_through(question.id)  # a number is all it takes: nothing to race

    def _deny(self, question: Question) -> None:
        name = kernel.NAMES.get(question.number, "")
        fast_open = name.startswith("send")
        self._audit.deny(
            "tcp" if fast_open else "socket",
            "any",
            0,
            "fast-open" if fast_open else name,
            pid=question.thread,
        )
        code = errno.EOPNOTSUPP if fast_open else errno.EAFNOSUPPORT
        self._listener.answer(question.id, error=code)

    def _fail(self, question: Question, error: Exception) -> None:
        if isinstance(error, OSError):
            code = self._refused(question, error)
        else:
            self._audit.fault(error)
            code = errno.EPERM
        self._listener.answer(question.id, error=code)

    def _refused(self, question: Question, error: OSError) -> int:
        if error.errno in (errno.EPERM, errno.EACCES):
            self._audit.deny("tcp", "any", 0, "unreadable-process", pid=question.thread)
            return errno.EACCES
        return errno.EPERM if error.errno == errno.ESRCH else error.errno or errno.EPERM
