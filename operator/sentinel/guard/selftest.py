"""One allowed and one denied connect through the whole path, before any workload runs."""

from __future__ import annotations

import errno
import os
import select
import socket
import warnings
from collections.abc import Callable

from sentinel.guard import kernel
from sentinel.guard.errors import CannotEnforce

_SECONDS = 5.0
_FINE = b"00"

Fork = Callable[[Callable[[], bytes]], bytes]


def self_test(run_filtered: Fork, close_port: Callable[[int], None]) -> None:
    """Raise CannotEnforce unless a filtered child reaches one port here and not another.

    ``run_filtered`` runs a function in a forked child under the filter and returns its answer;
    ``close_port`` makes a port of this machine denied.
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as allowed,
        socket.create_server(("127.0.0.1", 0)) as denied,
    ):
        close_port(denied.getsockname()[1])
        said = run_filtered(lambda: _attempt(allowed.getsockname(), denied.getsockname()))
        reached = [bool(select.select([each], [], [], 0)[0]) for each in (allowed, denied)]
    if said != _FINE or reached != [True, False]:
        raise CannotEnforce(
            f"the self-test failed: answers {said.decode() or 'none'}, reached {reached}; "
            "expected 00 and [True, False]"
        )


def _attempt(allowed: tuple[str, int], denied: tuple[str, int]) -> bytes:
    """In the child: "00" when the allowed connect worked and the denied one was refused."""
    with socket.socket() as one, socket.socket() as other:
        first = one.connect_ex(allowed)
        second = other.connect_ex(denied)
    return b"%d%d" % (min(first, 9), 0 if second == errno.EACCES else 9)


def forked(action: Callable[[], bytes]) -> bytes:
    """Run ``action`` in a forked child of this thread; returns its answer, empty when it hangs."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        # Since 3.12 Python warns, because such a child may wait for a lock whose thread it has not.
        # This one only makes system calls; should it hang, it is killed and the test has failed.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            kernel.set_dumpable(1)  # as every program is after exec
            os.write(write, action())
        finally:
            os._exit(0)
    os.close(write)
    try:
        ready, _, _ = select.select([read], [], [], _SECONDS)
        return os.read(read, 64) if ready else b""
    finally:
        os.close(read)
        os.kill(child, 9)
        os.waitpid(child, 0)
