"""The workload's process: started under the guard, restarted with growing pauses, stopped whole."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set  # noqa: UP035 -- Python 3.9

from sentinel.agent import fields, processes
from sentinel.agent.children import Children
from sentinel.agent.errors import Refusal, bad
from sentinel.agent.logs import Logs
from sentinel.agent.secrets import parse_signal
from sentinel.tls.certificate import rfc3339

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_KILL_SECONDS = 5.0
_MAX_ID = 2**32 - 2
_MAX_ENVIRONMENT = 1000


class Launch(NamedTuple):
    """How the workload is started; None for user and group keeps the agent's own."""

    argv: List[str]  # noqa: UP006
    env: Dict[str, str]  # noqa: UP006
    cwd: str
    port: int
    uid: Optional[int]  # noqa: UP045
    gid: Optional[int]  # noqa: UP045
    drain: int
    stop_signal: signal.Signals
    metrics: Optional[str]  # noqa: UP045


def parse_launch(body: fields.Body) -> Launch:
    """Return the launch of a call. Raises Refusal."""
    env = body.get("env", {})
    if not isinstance(env, dict) or len(env) > _MAX_ENVIRONMENT:
        raise bad(f"env: an object of at most {_MAX_ENVIRONMENT} texts is needed")
    for name in env:
        if not name or "=" in name or "\0" in name:
            raise bad("env: a variable's name is wrong")
        fields.text(env, name, limit=120_000)
    argv = fields.texts(body, "argv", limit=1000, length=120_000)
    if not argv or not argv[0]:
        raise bad("argv: the program is missing")
    metrics = body.get("metricsPath")
    if metrics is not None and not fields.text(body, "metricsPath").startswith("/"):
        raise bad("metricsPath: a path that begins with / is needed")
    return Launch(
        argv=argv,
        env=dict(env),
        cwd=fields.text(body, "cwd") if body.get("cwd") else "/",
        port=fields.port(body, "port"),
        uid=_id(body, "uid"),
        gid=_id(body, "gid"),
        drain=fields.number(body, "drainSeconds", 0, 3600, 30),
        stop_signal=parse_signal(body, "stopSignal", "SIGTERM"),
        metrics=metrics,
    )


def _id(body: fields.Body, name: str) -> int | None:
    return None if body.get(name) is None else fields.number(body, name, 0, _MAX_ID)


class _Run:
    """One run of the process."""

    def __init__(self) -> None:
        self.pid = 0
        self.code: int | None = None
        self.began = time.time()


Start = Callable[[Launch, List[int]], int]  # noqa: UP006
"""Starts the process with three descriptors as its streams; returns its pid, raises OSError."""


class Workload:
    """Runs ``launch`` until it is stopped. Methods may be called from any thread."""

    def __init__(
        self,
        launch: Launch,
        start: Start,
        children: Children,
        logs: Logs,
        keep: Callable[[], Set[int]],  # noqa: UP006
    ) -> None:
        self.launch = launch
        self._start, self._children, self._logs, self._keep = start, children, logs, keep
        self._changed = threading.Condition()
        self._run: _Run | None = None
        self._wanted = False
        self._restarts, self._pause = 0, _FIRST_PAUSE
        self._last: tuple[int, float] | None = None

    def start(self) -> None:
        """Start it. Raises Refusal when it cannot be executed."""
        with self._changed:
            self._wanted = True
            try:
                self._begin()
            except OSError as error:
                self._wanted = False
                said = f"{self.launch.argv[0]}: {error.strerror}"
                raise Refusal(422, "CannotExecute", said) from error

    def _begin(self) -> None:
        run, pipes = _Run(), [os.pipe(), os.pipe()]
        null = os.open(os.devnull, os.O_RDONLY)
        self._run = run
        try:
            streams = [null, pipes[0][1], pipes[1][1]]
            run.pid = self._children.start(
                lambda: self._start(self.launch, streams), lambda code: self._ended(run, code)
            )
        except BaseException:
            run.code = 127
            raise
        finally:
            for fd in (null, pipes[0][1], pipes[1][1]):
                os.close(fd)
            self._logs.follow({pipes[0][0]: "stdout", pipes[1][0]: "stderr"})

    def _ended(self, run: _Run, code: int) -> None:
        with self._changed:
            run.code = code
            self._last = code, time.time()
            self._changed.notify_all()
            if self._wanted and self._run is run:
                self._again(time.time() - run.began)

    def _again(self, lived: float) -> None:
        if lived > _LONGEST_PAUSE:
            self._pause = _FIRST_PAUSE
        self._restarts += 1
        timer = threading.Timer(self._pause, self._retry)
        timer.daemon = True
        timer.start()
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _retry(self) -> None:
        with self._changed:
            if not self._wanted or self._alive():
                return
            try:
                self._begin()
            except (OSError, Refusal) as error:
                self._logs.add("sentinel", f"cannot restart: {error}")
                self._again(0)

    def _alive(self) -> bool:
        return self._run is not None and self._run.code is None

    def stop(self, seconds: float) -> None:
        """Signal it, wait, and kill what is left."""
        with self._changed:
            self._wanted = False
            self._terminate(seconds)
        self._sweep()

    def kill(self) -> None:
        """Stop it at once."""
        with self._changed:
            self._wanted = False
        self._sweep()

    def restart(self) -> None:
        """Stop it and start it anew: with the environment of now. Raises Refusal."""
        with self._changed:
            if not self._wanted:
                return
            self._wanted = False
            self._terminate(self.launch.drain)
        self._sweep()
        self.start()

    def _terminate(self, seconds: float) -> None:
        if self._alive():
            self.signal(self.launch.stop_signal)
            self._changed.wait_for(lambda: not self._alive(), seconds)

    def _sweep(self) -> None:
        """Kill everything in the container but the agent's own processes."""
        processes.end_others(self._keep())
        with self._changed:
            self._changed.wait_for(lambda: not self._alive(), _KILL_SECONDS)

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it runs."""
        run = self._run
        if run and run.pid and run.code is None:
            with suppress(OSError):
                os.kill(run.pid, number)

    def view(self) -> dict[str, Any]:
        """Return what ``status`` shows."""
        with self._changed:
            run, last = self._run, self._last
            return {
                "pid": run.pid if run and run.code is None else None,
                "running": self._alive(),
                "exitCode": last[0] if last else None,
                "restarts": self._restarts,
                "startedAt": rfc3339(run.began) if run else None,
                "lastExit": rfc3339(last[1]) if last else None,
            }

    def began(self) -> float:
        """Return when the current run began, in seconds since 1970."""
        run = self._run
        return run.began if run else 0.0
