"""Long-lived children: started, waited for, and surely stopped."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from devenv.errors import DevenvError

_POLL_SECONDS = 0.02
_TAIL = 4000
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None)
_LINUX = sys.platform == "linux"

INTERRUPTED = 128 + signal.SIGINT
"""The exit status of a program that Ctrl-C ended, by the shell's convention."""


def end_on_sigterm() -> None:
    """Let the first SIGTERM cancel the current task as Ctrl-C does, so that it stops its children."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def cancel() -> None:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if task is not None:
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, cancel)


class Process:
    """A running child in a process group of its own; both outputs go to ``log``.

    On Linux the child gets SIGTERM when the thread that started it ends.
    """

    def __init__(self, name: str, child: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._child = child
        self._log_start = 0

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        detached: bool = False,
    ) -> Process:
        """Return the started child; ``env`` is added to this process's own.

        ``detached`` lets it outlive this process. Raises DevenvError when the program cannot be started.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as sink:
            start = sink.tell()
            try:
                child = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=sink,
                    stderr=asyncio.subprocess.STDOUT,
                    env={**os.environ, **(env or {})},
                    cwd=cwd,
                    start_new_session=True,
                    preexec_fn=None if detached or not _LINUX else _die_with_parent,
                )
            except OSError as error:
                raise DevenvError(f"{name}: {argv[0]} cannot be started: {error}") from error
        process = cls(name, child, log)
        process._log_start = start
        return process

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while the child runs."""
        return self._child.returncode

    async def wait(self) -> int:
        """Return the exit status once the child has ended."""
        return await self._child.wait()

    async def ready(self, *, limit_seconds: float, word: str = "ready") -> list[str]:
        """Return the words after ``word`` on the first line of output that begins with it.

        Raises DevenvError, with the end of the log, when the child ends or the limit passes first.
        """
        deadline = time.monotonic() + limit_seconds
        while time.monotonic() < deadline:
            ended = self.returncode is not None
            if (found := self._announcement(word)) is not None:
                return found
            if ended:
                raise self._failure(f"ended with status {self.returncode} before it was ready")
            await asyncio.sleep(_POLL_SECONDS)
        raise self._failure(f"was not ready within {limit_seconds:.0f} s")

    async def stop(self, *, grace_seconds: float = 10) -> int:
        """Return the exit status: SIGTERM, after the grace SIGKILL, also for its descendants."""
        if self.returncode is None:
            self._signal(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await self._child.wait()
        self._signal(signal.SIGKILL)
        return await self._child.wait()

    async def kill(self) -> int:
        """Return the exit status after SIGKILL to the child and its descendants."""
        self._signal(signal.SIGKILL)
        return await self._child.wait()

    def output(self) -> str:
        """Return what the child has written since its start."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def _announcement(self, word: str) -> list[str] | None:
        for line in self.output().splitlines(keepends=True):
            words = line.split()
            if line.endswith("\n") and words[:1] == [word]:
                return words[1:]
        return None

    def _failure(self, what: str) -> DevenvError:
        return DevenvError(f"{self.name} {what}; {self.log} ends with:\n{self.output()[-_TAIL:]}")

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def _die_with_parent() -> None:
    """Runs between fork and exec: only one system call, nothing that could wait for a lock."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
