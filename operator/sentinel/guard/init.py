"""What process 1 owes its children: reaping, signals, exit codes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

_FORWARDED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
_FROM_TERMINALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH)
_GRACE_SECONDS = 2.0
_STEP_SECONDS = 0.02

Reaped = Callable[[int, int], None]


class Init:
    """Use it in the main thread. ``reaped`` hears of every child that ended."""

    def __init__(self, reaped: Reaped) -> None:
        self._reaped = reaped
        self._main = 0
        self._early: list[int] = []

    def catch(self) -> None:
        """Forward signals to the main child from now on, those that came early included."""
        for number in _FORWARDED:
            signal.signal(number, self._forward)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        if not self._main:
            self._early.append(number)
            return
        try:
            if number in _FROM_TERMINALS:  # a terminal signals everything in the foreground
                os.killpg(self._main, number)
            else:
                os.kill(self._main, number)
        except OSError:
            return

    def wait(self, main: int) -> int:
        """Reap until the main child has ended; returns its exit code, 128+n for a signal."""
        self._main = main
        for number in self._early:
            self._forward(number, None)
        while True:
            pid, status = os.waitpid(-1, 0)
            self._reaped(pid, status)
            if pid == main:
                self._main = 0
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code

    def end_rest(self, keep: frozenset[int] = frozenset()) -> None:
        """End what the main child left running: without the guard it would reach nothing."""
        deadline = time.monotonic() + _GRACE_SECONDS
        number = signal.SIGTERM
        while rest := [pid for pid in children() if pid not in keep]:
            for pid in rest:
                with suppress(OSError):
                    os.kill(pid, number)
            self._reap_some()
            if time.monotonic() > deadline:
                number = signal.SIGKILL
            time.sleep(_STEP_SECONDS)

    def _reap_some(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._reaped(pid, status)


def children() -> list[int]:
    """Return the children of this process, ended ones not yet reaped included."""
    found = []
    own = str(os.getpid())
    for each in os.listdir("/proc"):
        if each.isdigit():
            try:
                with open(f"/proc/{each}/stat", "rb") as file:
                    parent = file.read().rpartition(b")")[2].split()[1]
            except (OSError, IndexError):
                continue
            if parent.decode() == own:
                found.append(int(each))
    return found
