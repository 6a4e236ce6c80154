"""The relay's processes: a master that forks workers anew when they die, and the agent's handle.

The master is forked before the agent has threads, and has none itself, so that forking is safe at
any time. Agent, master and workers talk in messages over socket pairs; each one is answered.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
from contextlib import suppress
from typing import Any, Dict  # noqa: UP035 -- evaluated at run time on Python 3.9

from sentinel.guard.kernel import return_memory
from sentinel.relay.counters import Counters, Totals
from sentinel.relay.settings import Identity, Limits, Settings

MAX_WORKERS = 4
_MESSAGE = 192 * 1024
_ANSWER_SECONDS = 10.0
_REFORK_SECONDS = 0.5
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_Message = Dict[str, Any]  # noqa: UP006


class RelayError(Exception):
    """The relay could not do what it was asked; the text says why."""


def worker_count(cores: int) -> int:
    """Return how many workers serve best: more than ``cores`` cost, and gain nothing."""
    return max(1, min(MAX_WORKERS, cores))


class Relay:
    """The agent's handle; ``pid`` is the master's, for whoever reaps children."""

    def __init__(self, workers: int) -> None:
        """Fork the master. Call it before any thread exists."""
        self._counters = Counters(workers)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if not self.pid:
            self._socket.close()
            _run_and_exit(lambda: _Master(theirs, self._counters).run())
        theirs.close()
        self._socket.settimeout(_ANSWER_SECONDS)

    def open(self, settings: Settings) -> None:
        """Start serving. Raises RelayError."""
        self._ask({"do": "open", "settings": settings})

    def renew(self, identity: Identity) -> None:
        """Present another certificate to new connections. Raises RelayError."""
        self._ask({"do": "renew", "identity": identity})

    def drain(self) -> None:
        """Take no new connections. Raises RelayError."""
        self._ask({"do": "drain"})

    def close(self) -> None:
        """Cut all connections and stop listening. Raises RelayError."""
        self._ask({"do": "close"})

    def totals(self) -> Totals:
        """Return the counters of all workers."""
        return self._counters.totals()

    def end(self) -> None:
        """End the master and its workers. Closing alone would not do: others may hold a copy."""
        with suppress(OSError):
            _send(self._socket, {"do": "end"})
        self._socket.close()

    def _ask(self, message: _Message) -> None:
        try:
            _send(self._socket, message)
            answer = _receive(self._socket)
        except (OSError, ValueError) as error:
            raise RelayError(f"the relay's process does not answer: {error}") from error
        if answer is None:
            raise RelayError("the relay's process is gone")
        if answer.get("error"):
            raise RelayError(str(answer["error"]))


class _Master:
    def __init__(self, agent: socket.socket, shared: Counters) -> None:
        self._agent, self._shared = agent, shared
        self._settings: Settings | None = None
        self._draining = False
        self._workers: dict[int, tuple[int, socket.socket]] = {}

    def run(self) -> None:
        self._agent.settimeout(_ANSWER_SECONDS)
        while True:
            ready, _, _ = select.select([self._agent], [], [], _REFORK_SECONDS)
            if ready:
                message = _receive(self._agent)
                if message is None or message["do"] == "end":
                    self._close()
                    return
                _send(self._agent, self._do(message))
            self._mend()

    def _do(self, message: _Message) -> _Message:
        try:
            if message["do"] == "open":
                self._open(_settings(message["settings"]))
            elif message["do"] == "close":
                self._close()
            else:
                self._remember(message)
                for worker in list(self._workers):
                    self._tell(worker, message)
        except (OSError, RelayError) as error:
            return {"error": str(error)}
        return {}

    def _remember(self, message: _Message) -> None:
        """Workers forked later begin with what the others were told."""
        if message["do"] == "drain":
            self._draining = True
        elif self._settings:
            identity = Identity(*message["identity"])
            self._settings = self._settings._replace(identity=identity)

    def _open(self, settings: Settings) -> None:
        _load()
        self._close()
        self._settings, self._draining = settings, False
        try:
            for worker in range(len(self._shared.slots)):
                self._fork(worker)
        except RelayError:
            self._close()
            raise

    def _fork(self, worker: int) -> None:
        settings = self._settings
        if settings is None:
            return
        self._shared.reset_gauges(worker)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if not pid:
            ours.close()
            self._agent.close()
            for _, other in self._workers.values():
                other.close()
            _run_and_exit(lambda: _work(theirs, settings, self._shared, worker))
        theirs.close()
        ours.settimeout(_ANSWER_SECONDS)
        self._workers[worker] = pid, ours
        self._answer(worker)

    def _tell(self, worker: int, message: _Message) -> None:
        _send(self._workers[worker][1], message)
        self._answer(worker)

    def _answer(self, worker: int) -> None:
        answer = _receive(self._workers[worker][1])
        if answer is None or answer.get("error"):
            why = answer["error"] if answer else "it ended"
            raise RelayError(f"relay worker {worker}: {why}")

    def _mend(self) -> None:
        """Fork those anew that died."""
        for worker, (pid, ours) in list(self._workers.items()):
            if os.waitpid(pid, os.WNOHANG)[0]:
                ours.close()
                del self._workers[worker]
                if not self._draining:
                    with suppress(RelayError, OSError):
                        self._fork(worker)

    def _close(self) -> None:
        self._settings = None
        for worker, (pid, ours) in self._workers.items():
            ours.close()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self._shared.reset_gauges(worker)
        self._workers.clear()


def _load() -> None:
    """Load what the workers run: the agent starts without it, and they share it."""
    gc.disable()
    importlib.import_module("sentinel.relay.loop")
    gc.freeze()  # no collection of a worker touches it, and so copies it
    gc.enable()
    return_memory()


def _work(master: socket.socket, settings: Settings, shared: Counters, worker: int) -> None:
    from sentinel.relay.loop import Loop  # noqa: PLC0415 -- the master has it already

    try:
        loop = Loop(settings, shared, worker)
    except OSError as error:
        _send(master, {"error": f"cannot listen on {settings.host}:{settings.port}: {error}"})
        return
    _send(master, {})

    def told() -> None:
        message = _receive(master)
        if message is None:
            loop.stop()
            return
        try:
            if message["do"] == "drain":
                loop.drain()
            else:
                loop.renew(Identity(*message["identity"]))
        except (OSError, ValueError) as error:
            _send(master, {"error": str(error)})
        else:
            _send(master, {})

    loop.watch(master, told)
    loop.run()


def _run_and_exit(main: Any) -> None:
    """Be a process of the relay: out of the workload's sight, and ended with its parent."""
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        main()
        code = 0
    finally:
        os._exit(code)


def _settings(fields: list[Any]) -> Settings:
    settings = Settings(*fields)
    identity, limits = Identity(*settings.identity), Limits(*settings.limits)
    return settings._replace(identity=identity, limits=limits)


def _send(sock: socket.socket, message: _Message) -> None:
    sock.sendall(json.dumps(message).encode())


def _receive(sock: socket.socket) -> _Message | None:
    data = sock.recv(_MESSAGE)
    loaded = json.loads(data) if data else None
    return loaded if isinstance(loaded, dict) else None
