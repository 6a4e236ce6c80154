"""Questions of the kernel about system calls, and the answers. Source: seccomp_unotify(2)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import NamedTuple

_RECEIVE, _SEND, _ADD_DESCRIPTOR, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40182103, 0x40082104
_ID_VALID = 0x80082102
"""The number of kernels before 5.17, which newer ones still take."""
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_EMPTY = bytes(_NOTIFICATION.size)
_RESPONSE = struct.Struct("=QqiI")
_ID = struct.Struct("=Q")
_ADDITION = struct.Struct("=QIIII")
_CONTINUE = 1
_ADD_AND_SEND = 2
_WAKE_ON_THIS_CPU = 1


class Question(NamedTuple):
    """One trapped call: its id, the asking *thread*, the call's number, six raw arguments."""

    id: int
    thread: int
    number: int
    arguments: tuple[int, ...]

    def word(self, index: int) -> int:
        """Return an argument that the kernel takes as a 32-bit number."""
        return self.arguments[index] & 0xFFFFFFFF


class Listener:
    """The guard's end of the filter."""

    def __init__(self, descriptor: int, *, keeps_answers: bool) -> None:
        self.descriptor = descriptor
        self.keeps_answers = keeps_answers
        """Whether a signal cannot take a question back once it was received (kernel 6.0)."""
        self.wakes_here = self._set_wake()

    def _set_wake(self) -> bool:
        try:
            fcntl.ioctl(self.descriptor, _SET_FLAGS, _WAKE_ON_THIS_CPU)
        except OSError:
            return False
        return True

    def receive(self) -> Question | None:
        """Return the next question, None when its thread is gone."""
        try:
            got = _NOTIFICATION.unpack(fcntl.ioctl(self.descriptor, _RECEIVE, _EMPTY))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return None
            raise
        return Question(got[0], got[1], got[3], got[6:])

    def answer(self, question: int, *, value: int = 0, error: int = 0) -> bool:
        """Let the call return; False when nobody waits for it any more."""
        return self._send(question, value, -error, 0)

    def let_through(self, question: int) -> bool:
        """Let the kernel make the call. Only safe where nothing in memory decides."""
        return self._send(question, 0, 0, _CONTINUE)

    def _send(self, question: int, value: int, error: int, flags: int) -> bool:
        try:
            fcntl.ioctl(self.descriptor, _SEND, _RESPONSE.pack(question, value, error, flags))
        except OSError as failed:
            if failed.errno != errno.ENOENT:
                raise
            return False
        return True

    def waits(self, question: int) -> bool:
        """Return whether the call still waits: the thread read is the thread that asked."""
        try:
            fcntl.ioctl(self.descriptor, _ID_VALID, _ID.pack(question))
        except OSError:
            return False
        return True

    def give(self, question: int, descriptor: int, *, close_on_exec: bool) -> None:
        """Put a copy of ``descriptor`` into the process; the call returns its number there."""
        flags = os.O_CLOEXEC if close_on_exec else 0
        request = bytearray(_ADDITION.pack(question, _ADD_AND_SEND, descriptor, 0, flags))
        try:
            fcntl.ioctl(self.descriptor, _ADD_DESCRIPTOR, request, True)
        except OSError as error:
            if error.errno == errno.EINVAL:
                self._give_in_two_steps(question, descriptor, flags)
            elif error.errno != errno.ENOENT:
                self.answer(question, error=error.errno or errno.EMFILE)

    def _give_in_two_steps(self, question: int, descriptor: int, flags: int) -> None:
        """As kernels before 5.14 want it."""
        request = _ADDITION.pack(question, 0, descriptor, 0, flags)
        try:
            number = fcntl.ioctl(self.descriptor, _ADD_DESCRIPTOR, bytearray(request), True)
        except OSError as error:
            self.answer(question, error=error.errno or errno.EMFILE)
        else:
            self.answer(question, value=number)
