"""What this machine lets an ordinary process do: tried, in a child, never guessed."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from sentinel.guard import kernel
from sentinel.guard.ladder import (
    DESCRIPTORS,
    FILTER,
    LANDLOCK,
    MEMORY,
    NAMESPACES,
    NOTIFICATION,
)

_ALLOW_ALL = bytes.fromhex("060000000000ff7f")
_WORD = b"sentinel"


def probe(without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return which facts of the ladder hold here; ``errors`` says why others do not.

    ``without`` takes facts away, to see what a weaker machine would do. Call it before any thread
    exists: it forks.
    """
    kernel.require_known_machine()
    errors: dict[str, str] = {}
    listens = _holds(NOTIFICATION, _listen, errors)
    facts: dict[str, Any] = {
        NOTIFICATION: listens,
        FILTER: listens or _holds(FILTER, _filter, errors),  # a listener has a filter
        NAMESPACES: _holds(NAMESPACES, _unshare, errors),
        **_looking(errors),
    }
    version = kernel.landlock_version()
    facts[LANDLOCK] = version >= kernel.LANDLOCK_NET
    for fact in without:
        facts[fact] = False
    return {
        **facts,
        "landlockVersion": version if facts[LANDLOCK] else 0,
        "errors": errors,
        "kernel": os.uname().release,
        "machine": kernel.MACHINE,
        "python": sys.version.partition(" ")[0],
        "user": os.geteuid(),
    }


def _listen() -> None:
    kernel.no_new_privileges()
    kernel.install_filter(_ALLOW_ALL, kernel.NEW_LISTENER)


def _filter() -> None:
    kernel.no_new_privileges()
    kernel.install_filter(_ALLOW_ALL, 0)


def _unshare() -> None:
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()


def _holds(fact: str, attempt: Callable[[], None], errors: dict[str, str]) -> bool:
    """Return whether a forked child gets through ``attempt``."""
    child = os.fork()
    if child == 0:
        os._exit(_errno_of(attempt))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        errors[fact] = errno.errorcode.get(code, str(code))
    return code == 0


def _errno_of(attempt: Callable[[], None]) -> int:
    try:
        attempt()
    except OSError as error:
        return error.errno or errno.EPERM
    except BaseException:  # noqa: BLE001 -- a forked child must not unwind into its parent's code
        return errno.EPERM
    return 0


def _looking(errors: dict[str, str]) -> dict[str, bool]:
    """Try to read the memory and copy a descriptor of a child."""
    word = ctypes.create_string_buffer(_WORD)
    with socket.socket() as open_socket:
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        try:
            return {
                MEMORY: _succeeds(
                    MEMORY,
                    lambda: kernel.read_memory(child, ctypes.addressof(word), len(_WORD)),
                    errors,
                ),
                DESCRIPTORS: _succeeds(
                    DESCRIPTORS, lambda: _copy(child, open_socket.fileno()), errors
                ),
            }
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _copy(child: int, number: int) -> None:
    process = kernel.PidDescriptors().open(child)
    try:
        os.close(kernel.copy_descriptor(process, number))
    finally:
        os.close(process)


def _succeeds(fact: str, attempt: Callable[[], object], errors: dict[str, str]) -> bool:
    try:
        attempt()
    except OSError as error:
        errors[fact] = errno.errorcode.get(error.errno or 0, str(error))
        return False
    return True
