"""The kernel's questions: each goes to the part that knows its system call; the rest is denied."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress

from sentinel.guard import kernel
from sentinel.guard.audit import Audit
from sentinel.guard.connects import Connects
from sentinel.guard.fastpath import FastPath
from sentinel.guard.loop import Loop
from sentinel.guard.notification import Listener, Question, question_of
from sentinel.guard.sockets import Sockets
from sentinel.guard.tracee import Tracees


class Questions:
    """Answers what the filter's listener asks, in a thread of its own, each in a turn of the loop.

    The thread waits in the kernel for the next question itself. In a loop that waits for other
    things too, whoever connects would wait until the loop has come around, and for the kernel to
    look at those other things.
    """

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
        self._turn = loop.turn
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
        self._stopping = False

    def serve(self) -> None:
        """Answer until ``stop``, or until nobody is left who could ask."""
        try:
            while not self._stopping:
                received = self._listener.receive()
                if received is not None:
                    with self._turn:
                        self._answer(received)
                elif self._listener.deserted():
                    return
        except Exception as error:  # noqa: BLE001 -- who cannot hear must not keep others waiting
            self._listener.close()
            self._audit.fault(error)

    def stop(self) -> None:
        """Let ``serve`` refuse the next question, and end."""
        self._stopping = True

    def _answer(self, received: bytearray) -> None:
        try:
            if self._stopping:
                self._listener.answer(question_of(received).id, error=errno.EPERM)
            elif self._fast is None or not self._fast.answered(received):
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
        with suppress(OSError):  # it may have been answered before the fault
            self._listener.answer(question.id, error=code)

    def _refused(self, question: Question, error: OSError) -> int:
        if error.errno in (errno.EPERM, errno.EACCES):
            self._audit.deny("tcp", "any", 0, "unreadable-process", pid=question.thread)
            return errno.EACCES
        return errno.EPERM if error.errno == errno.ESRCH else error.errno or errno.EPERM
