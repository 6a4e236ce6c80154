"""Access to the processes under the filter: their memory, their descriptors, their ids."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from sentinel.guard import kernel

_T = TypeVar("_T")
_MAX_OPEN = 256
_PART_OF_DESCRIPTORS = 8


class Tracee(NamedTuple):
    """Descriptors of a thread: one by which its own are copied, and one to read its memory by.

    Where its own cannot be copied, the first is -1. The memory is that of the program which the
    thread ran when it was opened; once that is gone, nothing can be read.
    """

    process: int
    memory: int


class Tracees:
    """Reads from threads by their number; check that the question still waits afterwards."""

    def __init__(self, *, threads: bool = True) -> None:
        self._own = os.getuid(), os.getgid()
        self._opener = kernel.PidDescriptors(threads=threads)
        self._open: dict[int, int] = {}
        self._most = _most_open()
        self._others: dict[int, tuple[int, int]] = {}
        self.known: dict[int, Tracee] = {}
        """Threads that were looked at under our own ids, and may be so again."""

    def address_and_descriptor(
        self, thread: int, address: int, length: int, number: int
    ) -> tuple[bytes, int]:
        """Return memory of the thread's process, and a duplicate of its descriptor.

        Raises OSError, EFAULT and EBADF among others.
        """
        found = self._looking(
            thread,
            lambda: (kernel.read_memory(thread, address, length), self._copy(thread, number)),
        )
        self._know(thread)
        return found

    def _know(self, thread: int) -> None:
        if thread in self._others or thread in self.known:
            return
        if len(self.known) >= self._most:
            self._forget_all()
        with suppress(OSError):  # without /proc
            memory = os.open(f"/proc/{thread}/mem", os.O_RDONLY | os.O_CLOEXEC)
            self.known[thread] = Tracee(self._open.get(thread, -1), memory)

    def forget(self, thread: int) -> None:
        """Know a thread no more: it is another one, or runs another program."""
        if known := self.known.pop(thread, None):
            os.close(known.memory)

    def address_and_inode(
        self, thread: int, address: int, length: int, number: int
    ) -> tuple[bytes, int]:
        """Return memory of the thread's process, and the inode of its socket; raises OSError."""
        found = self._looking(
            thread, lambda: (kernel.read_memory(thread, address, length), inode_of(thread, number))
        )
        self._know(thread)
        return found

    def descriptor(self, thread: int, number: int) -> int:
        """Return a duplicate of the thread's descriptor; raises OSError (EBADF among others)."""
        return self._looking(thread, lambda: self._copy(thread, number))

    def inode(self, thread: int, number: int) -> int:
        """Return the inode of the thread's socket; raises OSError EBADF or ENOTSOCK."""
        return self._looking(thread, lambda: inode_of(thread, number))

    def sockets(self, process: int) -> list[tuple[int, int]]:
        """Return descriptor numbers and inodes of the process's sockets; raises OSError."""
        return self._looking(process, lambda: _sockets(process))

    def _forget_all(self) -> None:
        for thread in list(self.known):
            self.forget(thread)

    def close(self) -> None:
        """Give back what is open."""
        self._forget_all()
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def _copy(self, thread: int, number: int) -> int:
        try:
            return kernel.copy_descriptor(self._process(thread), number)
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise
        self.forget(thread)
        os.close(self._open.pop(thread))  # the number went to another thread
        return kernel.copy_descriptor(self._process(thread), number)

    def _process(self, thread: int) -> int:
        process = self._open.get(thread)
        if process is None:
            if len(self._open) >= self._most:
                self.close()
            process = self._open[thread] = self._opener.open(thread)
        return process

    def _looking(self, thread: int, look: Callable[[], _T]) -> _T:
        """Return what ``look`` finds, if need be under the ids of the process.

        Ids that served a thread before are tried first: the kernel compares them anew each time.
        """
        if thread in self._others:
            try:
                return self._under(self._others[thread], look)
            except PermissionError:
                del self._others[thread]
        try:
            return look()
        except PermissionError:
            ids = self._other_ids(thread)
        found = self._under(ids, look)
        if len(self._others) >= _MAX_OPEN:
            self._others.clear()
        self._others[thread] = ids
        self.forget(thread)
        return found

    def _under(self, ids: tuple[int, int], look: Callable[[], _T]) -> _T:
        try:
            kernel.take_real_ids(*ids)
            return look()
        finally:
            kernel.take_real_ids(*self._own)

    def _other_ids(self, thread: int) -> tuple[int, int]:
        """Return the ids of a process that dropped to another user; raises OSError when none did.

        Root without CAP_SYS_PTRACE may look at it only under its real ids, and the kernel lets
        nobody look at a process whose real, effective and saved ids differ.
        """
        ids = ids_of(thread)
        if ids == self._own:
            raise OSError(errno.EPERM, "the process hides its memory")
        return ids


def _most_open() -> int:
    """Return of how many threads descriptors are kept, two for each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        _MAX_OPEN
        if hard == resource.RLIM_INFINITY
        else min(_MAX_OPEN, hard // _PART_OF_DESCRIPTORS)
    )


def ids_of(thread: int) -> tuple[int, int]:
    """Return the effective ids of a thread's user and group; raises OSError. Source: proc(5)."""
    owner = os.stat(f"/proc/{thread}")
    return owner.st_uid, owner.st_gid


def inode_of(thread: int, number: int) -> int:
    """Return the inode of a thread's socket; raises OSError, EBADF or ENOTSOCK among others."""
    try:
        found = os.stat(f"/proc/{thread}/fd/{number}")
    except FileNotFoundError:
        raise OSError(errno.EBADF, "no such descriptor") from None
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.ENOTSOCK, "no socket")
    return found.st_ino


def _sockets(process: int) -> list[tuple[int, int]]:
    found = []
    for number in os.listdir(f"/proc/{process}/fd"):
        try:
            target = os.readlink(f"/proc/{process}/fd/{number}")
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            found.append((int(number), int(target[8:-1])))
    return found
