"""Access to the processes under the filter: their memory, their descriptors, their ids."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import TypeVar

from sentinel.guard import kernel

_T = TypeVar("_T")
_MAX_OPEN = 512
_DENIED = (errno.EPERM, errno.EACCES)


class Tracees:
    """Reads from threads by their number; check that the question still waits afterwards."""

    def __init__(self, *, threads: bool = True) -> None:
        self._user, self._group = os.getuid(), os.getgid()
        self._opener = kernel.PidDescriptors(threads=threads)
        self._open: dict[int, int] = {}

    def memory(self, thread: int, address: int, length: int) -> bytes:
        """Return memory of the thread's process; raises OSError."""
        try:
            return kernel.read_memory(thread, address, length)
        except OSError as error:
            if error.errno not in _DENIED:
                raise
        return self._looking(thread, lambda: kernel.read_memory(thread, address, length))

    def descriptor(self, thread: int, number: int) -> int:
        """Return a duplicate of the thread's descriptor; raises OSError (EBADF among others)."""
        if thread in self._open:
            try:
                return kernel.copy_descriptor(self._open[thread], number)
            except OSError:  # not suppress(): this is the way of every connect
                pass
        try:
            return self._looking(
                thread, lambda: kernel.copy_descriptor(self._process(thread), number)
            )
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise
        os.close(self._open.pop(thread))  # the number went to another thread
        return self._looking(thread, lambda: kernel.copy_descriptor(self._process(thread), number))

    def inode(self, thread: int, number: int) -> int:
        """Return the inode of the thread's socket; raises OSError EBADF or ENOTSOCK."""

        def look() -> int:
            found = os.stat(f"/proc/{thread}/fd/{number}")
            if not stat.S_ISSOCK(found.st_mode):
                raise OSError(errno.ENOTSOCK, "no socket")
            return found.st_ino

        try:
            return self._looking(thread, look)
        except FileNotFoundError:
            raise OSError(errno.EBADF, "no such descriptor") from None

    def _process(self, thread: int) -> int:
        if thread not in self._open:
            if len(self._open) >= _MAX_OPEN:
                self.close()
            self._open[thread] = self._opener.open(thread)
        return self._open[thread]

    def close(self) -> None:
        """Give back what is open."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def _looking(self, thread: int, look: Callable[[], _T]) -> _T:
        try:
            return look()
        except OSError as error:
            if error.errno not in _DENIED:
                raise
        user, group = self._other_ids(thread)
        try:
            kernel.take_real_ids(user, group)
            return look()
        finally:
            kernel.take_real_ids(self._user, self._group)

    def _other_ids(self, thread: int) -> tuple[int, int]:
        """Return the ids of a process that dropped to another user; raises OSError when none did.

        Root without CAP_SYS_PTRACE may look at it only under its real ids.
        """
        users, groups = ids_of(thread)
        if (users[0], groups[0]) == (self._user, self._group):
            raise OSError(errno.EPERM, "the process hides its memory")
        if len(set(users[:3])) != 1 or len(set(groups[:3])) != 1:
            raise OSError(errno.EPERM, "the process has mixed ids")
        return users[0], groups[0]


def ids_of(thread: int) -> tuple[list[int], list[int]]:
    """Return real, effective, saved and file system ids: of the user, of the group."""
    status = kernel.status_of(thread)
    users, groups = ([int(each) for each in status[key].split()] for key in (b"Uid", b"Gid"))
    return users, groups
