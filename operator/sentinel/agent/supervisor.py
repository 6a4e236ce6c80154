"""Process 1 of a rented container: what is started once, signals, and children that end."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Mapping
from types import FrameType
from typing import Any

from sentinel.agent.afresh import afresh
from sentinel.agent.agent import Agent
from sentinel.agent.bootstrap import Bootstrap
from sentinel.agent.calls import Calls
from sentinel.agent.children import Children
from sentinel.agent.guarding import Guarding
from sentinel.agent.program import readable
from sentinel.agent.server import MAX_CONNECTIONS, MAX_CONSOLES, Server, listen
from sentinel.guard.annex import Annex
from sentinel.guard.guard import Guard, Options
from sentinel.guard.kernel import return_memory
from sentinel.guard.launch import load
from sentinel.relay.workers import Relay

EX_OK, EX_SOFTWARE, EX_RESTART = 0, 70, 75
_FORWARDED = ("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")
_ENDING = ("SIGTERM", "SIGINT")
_REAP_SECONDS = 5.0
_KEPT = ("--listen", "--rung")
_ANSWERED_SECONDS = 0.2


class Supervisor:
    """Everything that is started once, in the order that forks and threads demand."""

    def __init__(
        self, bootstrap: Bootstrap, given: Mapping[str, str], relay: Relay, annex: Annex
    ) -> None:
        self._bootstrap, self._given, self._relay = bootstrap, given, relay
        host, rung = given.get("--listen", ""), given.get("--rung", "")
        version, spec = bootstrap.egress_version, bootstrap.egress
        guarding = Guarding(version, spec, Options(rung=rung), annex)
        listener = listen(host, bootstrap.control_port)
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
                return self._over()
            self._guarding.reaped(pid, status)
            self._children.reaped(pid, status)

    def _over(self) -> int:
        """Return the exit code once the relay has ended, or start afresh."""
        if self._policy is not None:
            if self._agent.inhabited:
                sys.stderr.write("sentinel: restart the container: the policy's mode has changed\n")
                return EX_RESTART
            options = [f"{name}={self._given[name]}" for name in _KEPT if name in self._given]
            afresh(self._bootstrap.given, self._policy, options)
        if not self._ending:
            sys.stderr.write("sentinel: the relay's process ended\n")
        return EX_OK if self._ending else EX_SOFTWARE

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        workload = self._agent.workload
        if workload:
            workload.signal(number)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        if not self._ending:
            self._ending = True
            threading.Thread(target=self._stop, daemon=True).start()

    def _start_afresh(self, spec: Any) -> None:
        """End this instance for one that can hold ``spec``, once the caller has its answer.

        After a workload it ends the container too: Python's own files may be an intruder's by then.
        """
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
