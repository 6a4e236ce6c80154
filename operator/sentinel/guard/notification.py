"""Questions of the kernel about system calls, and the answers. Source: seccomp_unotify(2)."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
from typing import NamedTuple

from sentinel.guard import kernel

_RECEIVE, _SEND, _ADD_DESCRIPTOR, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40182103, 0x40082104
_ID_VALID = 0x80082102
"""The number of kernels before 5.17, which newer ones still take."""
_NOTIFICATION = struct.Struct("=QI4xi12x6Q")
"""Without flags, processor and instruction pointer."""
START = struct.Struct("=QI4xi12x3Q")
"""The same up to the third argument, for who needs no more."""
_RESPONSE = struct.Struct("=QqiI")
_ID = struct.Struct("=Q")
_ADDITION = struct.Struct("=QIIII")
_CONTINUE = 1
_ADD_AND_SEND = 2
_WAKE_ON_THIS_CPU = 1
_FIRST, _WORD = 3, 0xFFFFFFFF


class Question(NamedTuple):
    """One trapped call: its id, the asking *thread*, the call's number, its raw arguments."""

    id: int
    thread: int
    number: int
    first: int
    second: int
    third: int
    fourth: int
    fifth: int
    sixth: int

    def word(self, index: int) -> int:
        """Return an argument that the kernel takes as a 32-bit number."""
        return self[index + _FIRST] & _WORD


def question_of(received: bytearray) -> Question:
    """Return the question that was received."""
    return Question._make(_NOTIFICATION.unpack(received))


class Listener:
    """The guard's end of the filter, for one thread: requests are written into one buffer each.

    They are bytearrays because ``ioctl`` takes these at once, and bytes after a failed attempt.
    """

    def __init__(self, descriptor: int, *, keeps_answers: bool) -> None:
        self.descriptor = descriptor
        self._response, self._id = bytearray(_RESPONSE.size), bytearray(_ID.size)
        self.keeps_answers = keeps_answers
        """Whether a signal cannot take a question back once it was received (kernel 6.0)."""
        self.wakes_here = self._set_wake()

    def _set_wake(self) -> bool:
        try:
            fcntl.ioctl(self.descriptor, _SET_FLAGS, _WAKE_ON_THIS_CPU)
        except OSError:
            return False
        return True

    def receive(self) -> bytearray | None:
        """Wait for the next question and return it as the kernel wrote it.

        None when the one who asked is gone, and when a signal or the end of all came first.
        """
        try:
            empty = bytearray(_NOTIFICATION.size)  # as the kernel demands
            fcntl.ioctl(self.descriptor, _RECEIVE, empty)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return None
            raise
        return empty

    def deserted(self) -> bool:
        """Return whether nobody is under the filter any more, and nobody can come."""
        waiting = select.poll()
        waiting.register(self.descriptor, select.POLLIN)
        return any(events & select.POLLHUP for _, events in waiting.poll(0))

    def close(self) -> None:
        """Stop listening: from then on the kernel refuses each call that would ask (ENOSYS)."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def answer(self, question: int, *, value: int = 0, error: int = 0, flags: int = 0) -> bool:
        """Let the call return; False when nobody waits for it any more."""
        try:
            _RESPONSE.pack_into(self._response, 0, question, value, -error, flags)
            fcntl.ioctl(self.descriptor, _SEND, self._response)
        except OSError as failed:
            if failed.errno != errno.ENOENT:
                raise
            return False
        return True

    def let_through(self, question: int) -> bool:
        """Let the kernel make the call. Only safe where nothing in memory decides."""
        return self.answer(question, flags=_CONTINUE)

    def waits(self, question: int) -> bool:
        """Return whether the call still waits: the thread read is the thread that asked."""
        try:
            _ID.pack_into(self._id, 0, question)
            fcntl.ioctl(self.descriptor, _ID_VALID, self._id)
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


def listening(program: bytes, *, modern: bool = True) -> Listener:
    """Install a filter for this thread and return its listener; raises OSError.

    ``modern``: whether to ask for what kernels before 5.19 lack, where there is it.
    """
    flags = kernel.NEW_LISTENER | (kernel.WAIT_KILLABLE if modern else 0)
    try:
        descriptor = kernel.install_filter(program, flags)
    except OSError as error:
        if not modern or error.errno != errno.EINVAL:
            raise
        return listening(program, modern=False)
    os.set_inheritable(descriptor, False)
    return Listener(descriptor, keeps_answers=modern)
