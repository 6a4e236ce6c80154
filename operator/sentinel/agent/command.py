"""The command ``run``: process 1 of a rented container."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from sentinel.agent import loader
from sentinel.agent.afresh import afresh
from sentinel.agent.agent import Agent
from sentinel.agent.bootstrap import Bootstrap, decode, parse
from sentinel.agent.calls import Calls
from sentinel.agent.children import Children
from sentinel.agent.errors import BootstrapError
from sentinel.agent.guarding import Guarding
from sentinel.agent.program import readable
from sentinel.agent.server import MAX_CONNECTIONS, MAX_CONSOLES, Server, listen
from sentinel.guard.errors import PolicyError
from sentinel.guard.guard import Guard, Options
from sentinel.guard.kernel import return_memory
from sentinel.guard.launch import load
from sentinel.relay.workers import Relay, worker_count

EX_OK, EX_USAGE, EX_SOFTWARE, EX_OSERR, EX_CONFIG = 0, 64, 70, 71, 78
_OURS = "GARRISON_"
_FORWARDED = ("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")
_ENDING = ("SIGTERM", "SIGINT")
_REAP_SECONDS = 5.0
_KEPT = ("--listen", "--rung")
_ANSWERED_SECONDS = 0.2
_USAGE = """usage: sentinel.pyz run [--bootstrap FILE] [--listen ADDRESS] [--rung NAME]

Holds a rented container: sealed until Garrison's operator has verified it by mutual TLS on the
control port, then runs the workload under its egress policy and relays mutual TLS to it.
Garrison starts it as process 1; the bootstrap comes from the variable GARRISON_BOOTSTRAP.

  --bootstrap FILE   read the bootstrap (JSON) from a file instead
  --listen ADDRESS   listen on this address only (default: all)
  --rung NAME        use this way of enforcing or none (see 'sentinel.pyz probe')

The exit code is 0 after SIGTERM, 78 for a bootstrap that is not usable, 71 when a port is taken.
"""


def run(argv: Sequence[str]) -> int:
    """Hold a rented container until it is told to end; returns the exit code."""
    given = _options(argv)
    if given is None:
        sys.stderr.write(_USAGE)
        return EX_USAGE
    if "--help" in given:
        sys.stdout.write(_USAGE)
        return EX_OK
    try:
        bootstrap = _bootstrap(given.get("--bootstrap", ""))
        return _Process(bootstrap, given).run()
    except (BootstrapError, PolicyError) as error:
        sys.stderr.write(f"sentinel: {error}\n")
        return EX_CONFIG
    except OSError as error:
        sys.stderr.write(f"sentinel: cannot start: {error}\n")
        return EX_OSERR


def _options(argv: Sequence[str]) -> dict[str, str] | None:
    given: dict[str, str] = {}
    words = list(argv)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name in ("-h", "--help"):
            return {"--help": ""}
        if name not in ("--bootstrap", "--listen", "--rung") or not (equals or words):
            return None
        given[name] = value if equals else words.pop(0)
    return given


def _bootstrap(path: str) -> Bootstrap:
    """Read it, and take everything of Garrison's out of the environment. Raises BootstrapError."""
    text = os.environ.get(loader.BOOTSTRAP, "")
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        del os.environ[name]
    if path:
        with open(path, "rb") as file:
            return parse(file.read())
    if not text:
        raise BootstrapError(f"the variable {loader.BOOTSTRAP} is missing; Garrison sets it")
    return decode(text)


class _Process:
    """Everything that is started once, in the order that forks and threads demand."""

    def __init__(self, bootstrap: Bootstrap, given: dict[str, str]) -> None:
        self._bootstrap, self._given = bootstrap, given
        host, rung = given.get("--listen", ""), given.get("--rung", "")
        self._relay = Relay(worker_count(_cores()))
        try:
            guarding = Guarding(bootstrap.egress_version, bootstrap.egress, Options(rung=rung))
            listener = listen(host, bootstrap.control_port)  # after the guard's helper was forked
        except BaseException:
            self._relay.end()
            raise
        self._guarding, self._children = guarding, Children()
        separate = guarding.separate_loopback()
        vendor = _vendor(separate) if separate else ""
        guarding.close_ports([bootstrap.data_port, bootstrap.control_port])
        self._agent = Agent(
            bootstrap,
            guarding,
            self._relay,
            self._children,
            host=host,
            vendor=vendor,
        )
        self._calls = Calls(self._agent)
        self._server = Server(
            listener,
            {bootstrap.operator_uri: MAX_CONNECTIONS, bootstrap.console_uri: MAX_CONSOLES},
            self._agent.presented,
            self._calls.serve,
            {"Garrison-Instance": self._agent.instance},
        )
        self._ending = False
        self._policy: Any = None
        self._agent.start_afresh = self._start_afresh

    def _began(self) -> float:
        workload = self._agent.workload
        return workload.began() if workload else 0.0

    def run(self) -> int:
        """Serve and reap until told to end."""
        woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)  # none is missed before a wait
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for name in _ENDING:
            signal.signal(getattr(signal, name), self._end)
        for name in _FORWARDED:
            signal.signal(getattr(signal, name), self._forward)
        threading.Thread(target=self._server.run, daemon=True).start()
        self._complete()
        sys.stderr.write(f"sentinel: sealed; instance {self._agent.instance}\n")
        while (code := self._reap()) is None:
            if readable([woken], _REAP_SECONDS):
                os.read(woken, 4096)
        return code

    def _complete(self) -> None:
        """Load what enrolling does without: from here on nothing is read from the image's disk."""
        from sentinel.agent.metrics import Sampler  # noqa: PLC0415 -- see above
        from sentinel.agent.operations import Operations  # noqa: PLC0415

        load()
        agent = self._agent
        sampler = Sampler(
            self._guarding, self._children, self._relay.totals, agent.keep, self._began
        )
        self._calls.complete(Operations(agent, sampler).serve)
        threading.Thread(target=sampler.run, daemon=True).start()
        gc.freeze()  # all this stays: a collection need not look at it
        return_memory()

    def _reap(self) -> int | None:
        """Wait for children that have ended; returns the exit code when the relay has."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return None
            if pid == self._relay.pid:
                if self._policy is not None:
                    options = [
                        f"{name}={self._given[name]}" for name in _KEPT if name in self._given
                    ]
                    afresh(self._bootstrap.given, self._policy, options)
                if not self._ending:
                    sys.stderr.write("sentinel: the relay's process ended\n")
                return EX_OK if self._ending else EX_SOFTWARE
            self._guarding.reaped(pid, status)
            self._children.reaped(pid, status)

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        workload = self._agent.workload
        if workload:
            workload.signal(number)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        if not self._ending:
            self._ending = True
            threading.Thread(target=self._stop, daemon=True).start()

    def _start_afresh(self, spec: Any) -> None:
        """End this instance for one that can hold ``spec``, once the caller has its answer."""
        if not self._ending:
            self._ending, self._policy = True, spec
            timer = threading.Timer(_ANSWERED_SECONDS, self._give_way)
            timer.daemon = True
            timer.start()

    def _give_way(self) -> None:
        self._agent.gives_way = True  # sealed, but another one comes: nothing to leave it for
        try:
            self._agent.seal("the policy's mode has changed; another instance takes its place")
        finally:
            self._relay.end()

    def _stop(self) -> None:
        try:
            self._agent.stop()
            self._agent.secrets.forget()
        finally:
            self._relay.end()


def _vendor(guard: Guard) -> str:
    """Serve sockets of the workload's network; returns where they are to be had."""
    from sentinel.agent.vendor import Vendor  # noqa: PLC0415 -- one rung needs it

    return Vendor(guard).address


def _cores() -> int:
    """Return how many cores this container may use, by affinity and by its quota."""
    cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError), open("/sys/fs/cgroup/cpu.max", encoding="utf-8") as file:
        quota, period = file.read().split()
        cores = min(cores, -(-int(quota) // int(period)))
    return cores
