"""Starts processes for the guard: what a child is, and the thread whose children are filtered."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sentinel.guard.handover import done_by

if TYPE_CHECKING:
    import subprocess

_T = TypeVar("_T")


class ChildSpec(NamedTuple):
    """A process to start; None for user and group keeps them, None for a stream inherits it."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None = None
    user: int | None = None
    group: int | None = None
    extra_groups: Sequence[int] | None = None
    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return everything but the streams."""
        return {
            "argv": list(self.argv),
            "env": dict(self.env),
            "cwd": self.cwd,
            "user": self.user,
            "group": self.group,
            "extra_groups": None if self.extra_groups is None else list(self.extra_groups),
        }

    def streams(self) -> list[int]:
        """Return descriptors of the three streams."""
        given = (self.stdin, self.stdout, self.stderr)
        return [number if each is None else each for number, each in enumerate(given)]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], streams: Sequence[int]) -> ChildSpec:
        """Return what ``as_json`` gave, with descriptors for the streams."""
        return cls(**fields, stdin=streams[0], stdout=streams[1], stderr=streams[2])


def load() -> None:
    """Load what ``launch`` needs: while nothing runs yet that could have changed it on the disk."""
    import subprocess  # noqa: F401, PLC0415 -- the guard is ready sooner without it


def launch(spec: ChildSpec) -> subprocess.Popen[bytes]:
    """Start the process in a session of its own; raises OSError.

    A session of its own, because signals to "my process group" must not reach the guard.
    """
    import subprocess  # noqa: PLC0415 -- see ``load``

    return subprocess.Popen(
        list(spec.argv),
        env=dict(spec.env),
        cwd=spec.cwd,
        user=spec.user,
        group=spec.group,
        extra_groups=spec.extra_groups,
        stdin=spec.stdin,
        stdout=spec.stdout,
        stderr=spec.stderr,
        start_new_session=True,
    )


class FilteredThread:
    """A thread that took the filter on itself; what it starts inherits the filter.

    No-new-privileges, Landlock, capabilities and seccomp all belong to a thread, so the rest of
    the process stays free.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._prepare = prepare
        self._thread = threading.Thread(target=self._work, name="filtered", daemon=True)

    def start(self) -> None:
        """Run ``prepare`` in the thread; raises what it raises."""
        outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._first = outcome
        self._thread.start()
        failed = outcome.get()
        if failed is not None:
            raise failed

    def run(self, job: Callable[[], _T]) -> _T:
        """Return what ``job`` returns in the thread; raises what it raises."""
        return done_by(self._jobs.put, job)

    def begin(self, job: Callable[[], object]) -> None:
        """Let the thread run ``job`` soon, and do not wait."""
        self._jobs.put(job)

    def end(self) -> None:
        """End the thread; what it started lives on."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        try:
            self._prepare()
        except BaseException as error:  # noqa: BLE001 -- handed to the caller
            self._first.put(error)
            return
        self._first.put(None)
        while (job := self._jobs.get()) is not None:
            job()
