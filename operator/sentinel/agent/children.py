"""The children of process 1: one thread waits for all of them, and tells whoever started each."""

from __future__ import annotations

import os
import threading
from typing import Callable

Ended = Callable[[int], None]
"""Hears the exit code, 128 + n after signal n."""


class Children:
    """Maps ends of processes to those who wait for them, in whatever order things happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, Ended] = {}
        self._early: dict[int, int] = {}
        self._starting = 0

    def start(self, launch: Callable[[], int], ended: Ended) -> int:
        """Return the pid that ``launch`` returns; ``ended`` is called once, from any thread."""
        with self._lock:
            self._starting += 1
        pid = 0
        try:
            pid = launch()
        finally:
            with self._lock:
                self._starting -= 1
                code = self._early.pop(pid, None)
                if pid and code is None:
                    self._waiting[pid] = ended
                if not self._starting:
                    self._early.clear()
        if code is not None:
            ended(code)
        return pid

    def reaped(self, pid: int, status: int) -> None:
        """Take note of what waitpid said."""
        code = os.waitstatus_to_exitcode(status)
        code = code if code >= 0 else 128 - code
        with self._lock:
            ended = self._waiting.pop(pid, None)
            if ended is None and self._starting:
                self._early[pid] = code
        if ended:
            ended(code)
