"""A relay as a process of its own, and what tests do with it.

As a program (`python relay_process.py WORKERS`) it reads one JSON command a line and answers each.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from devenv.checkout import ROOT
from sentinel.relay.settings import Identity, Limits, Settings
from sentinel.relay.workers import Relay, RelayError
from tests.ports import free_port
from tests.sentinel.pki import SERVER, Authority, Issued, client_context

LEASE_URI = "spiffe://garrison-0a1b2c3d/lease/l-1"
CLIENT_URI = "spiffe://garrison-0a1b2c3d/ns/prod/iw/chat"
OPERATOR, LEASE = Authority("operator"), Authority("lease")
SERVED, RENEWED = (LEASE.issue(LEASE_URI, usage=SERVER) for _ in range(2))
CLIENT = OPERATOR.issue(CLIENT_URI)
TIMEOUT = 45.0  # nothing takes that long but on a machine that is very busy


def identity(issued: Issued) -> Identity:
    return Identity(issued.certificate, issued.key, [OPERATOR.pem])


class RelayProcess:
    """Serves on ``port``, plain on ``upstream``; a context manager."""

    def __init__(self, folder: Path, *, workers: int = 1, limits: Limits | None = None) -> None:
        self.folder = folder
        self.workload = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.workload.settimeout(TIMEOUT)
        self.upstream = int(self.workload.getsockname()[1])
        self.port = free_port()
        self._opened: list[socket.socket] = []
        self._limits = limits or Limits()
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", __name__, str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"},
        )

    def __enter__(self) -> Self:
        self.master = self.ask("pid")
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        while self._opened:
            self._opened.pop().close()
        self._process.stdin.close()
        self._process.wait(TIMEOUT)
        self._process.stdout.close()
        self.workload.close()

    def open(self, vendor: str = "") -> None:
        settings = Settings(
            "127.0.0.1",
            self.port,
            self.upstream,
            CLIENT_URI,
            identity(SERVED),
            self._limits,
            vendor,
        )
        self.ask("open", settings)

    def ask(self, do: str, argument: object = None) -> Any:
        """Return the answer to a command. Raises RelayError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([do, argument]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RelayError(answer["error"])
        return answer["value"]

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.ask("totals")[0]
        return counts

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.master}/task/{self.master}/children")
        return [int(pid) for pid in children.read_text().split()]

    def context(self, client: Issued | None = CLIENT) -> ssl.SSLContext:
        return client_context(LEASE.pem, client, self.folder)

    def connect(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._opened.append(raw)
        client = (context or self.context()).wrap_socket(raw, suppress_ragged_eofs=False)
        self._opened.append(client)
        return client

    def pair(self, context: ssl.SSLContext | None = None) -> tuple[ssl.SSLSocket, socket.socket]:
        """Return a client's end and the workload's."""
        client = self.connect(context)
        accepted, _ = self.workload.accept()
        accepted.settimeout(TIMEOUT)
        self._opened.append(accepted)
        return client, accepted

    def answers(self) -> bool:
        """Tell whether the port is open."""
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0

    def hang_up(self) -> None:
        """Close everything that a test opened, and wait until the relay has noticed."""
        while self._opened:
            self._opened.pop().close()
        until(lambda: self.counts()["connections"] == 0)


def until(condition: Callable[[], bool], seconds: float = TIMEOUT) -> None:
    """Wait until it holds; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _do(relay: Relay, do: str, argument: Any) -> object:
    if do == "open":
        settings = Settings(*argument)
        certificate, limits = Identity(*settings.identity), Limits(*settings.limits)
        relay.open(settings._replace(identity=certificate, limits=limits))
    elif do == "renew":
        relay.renew(Identity(*argument))
    elif do == "totals":
        return relay.totals()
    elif do == "pid":
        return relay.pid
    else:
        getattr(relay, do)()
    return None


def _main() -> None:
    relay = Relay(int(sys.argv[1]))
    for line in sys.stdin:
        do, argument = json.loads(line)
        try:
            answer: dict[str, object] = {"value": _do(relay, do, argument)}
        except RelayError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    relay.end()
    os.waitpid(relay.pid, 0)


if __name__ == "__main__":
    _main()
