"""``make bench``: the sentinel's relay beside Envoy, HAProxy and nginx.

Each proxy has one core to itself, client and upstream share another; all take turns in one run.
Rates are per second of the proxy's own CPU time, because the client shares its core. Figures are
printed, and gate nothing.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from devenv.bench_processes import begin, cpu_seconds, free_port, kibibytes, wait_for
from devenv.bench_pythons import compared
from devenv.bench_relay_peers import Peer, Task, envoy, envoy_http, haproxy, nginx
from devenv.checkout import ROOT
from devenv.errors import DevenvError
from garrison.adapters.sentinel import certificates

ROUNDS = 5
SOURCE = Path(__file__).with_suffix(".go")
CLIENT_URI, LEASE_URI = "spiffe://bench/ns/a/iw/b", "spiffe://bench/lease/c"
RELAY, ENVOY = "sentinel", "envoy"
_PLAIN = "plain"
IDLE = 1000
_WIDTH = 160
_SOURCES = os.pathsep.join((str(ROOT), str(ROOT / "operator")))
# mode of the Go program, its number, what is shown, and the issue's goal beside Envoy
RATES: tuple[tuple[str, int, str, str], ...] = (
    ("requests1", 2000, "requests/CPU s, 1 connection", ">= 0.9x"),
    ("requests32", 2000, "requests/CPU s, 32 connections", ">= 1.0x"),
    ("connections", 2000, "new connections/CPU s", ">= 0.6x"),
    ("bulk", 2, "bulk, GB/CPU s", ">= 0.85x"),
    ("events", 200, "events/CPU s, 200 streams", ">= 1.0x"),
)
PEERS: Mapping[str, Callable[[Task], Peer]] = {
    ENVOY: envoy,
    "envoy http": envoy_http,
    "haproxy": haproxy,
    "nginx": nginx,
}
_Samples = dict[str, dict[str, list[float]]]


class Stage:
    """Certificates, the Go program, and one proxy after another in front of one upstream."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.identity, self._client, self.authority = _issue(folder)
        self.program = folder / "bench"
        subprocess.run(["go", "build", "-o", str(self.program), str(SOURCE)], check=True)
        cores = sorted(os.sched_getaffinity(0))
        self._proxy_core, self._rest_core = cores[0], cores[-1]
        self.upstream = free_port()
        serve = [str(self.program), "serve", str(self.upstream)]
        stack.enter_context(self._running(serve, {}, self._rest_core, self.upstream))
        self.ports: dict[str, int] = {}
        self.pids: dict[str, int] = {}

    def add(self, name: str, make: Callable[[Task], Peer]) -> None:
        """Start a proxy; one that cannot be had is named and left out."""
        task = Task(
            folder=self.folder,
            port=free_port(),
            upstream=self.upstream,
            identity=self.identity,
            authority=self.authority,
        )
        try:
            peer = make(task)
        except DevenvError as error:
            sys.stderr.write(f"without {name}: {error}\n")
            return
        running = self._running(list(peer.command), peer.env, self._proxy_core, task.port)
        self.pids[name] = self._stack.enter_context(running)
        self.ports[name] = task.port

    @contextmanager
    def _running(
        self, command: Sequence[str], env: Mapping[str, str], core: int, port: int
    ) -> Iterator[int]:
        pinned = ["taskset", "-c", str(core), *command]
        with subprocess.Popen(pinned, env={**os.environ, **env}) as process:
            try:
                wait_for(port, process)
                yield process.pid
            finally:
                process.terminate()

    @contextmanager
    def client(self, mode: str, name: str, number: int) -> Iterator[subprocess.Popen[str]]:
        """Run the Go program as a client of a proxy; its connections are open on entry."""
        identity = "-" if name == _PLAIN else str(self._client)
        port = str(self.upstream if name == _PLAIN else self.ports[name])
        words = [str(self.program), mode, port, identity, str(number)]
        command = ["taskset", "-c", str(self._rest_core), *words]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) as process:
            _line(process)
            yield process

    def measured(self, mode: str, name: str, number: int) -> dict[str, float]:
        """Return what a client measures, and the proxy's CPU seconds meanwhile."""
        with self.client(mode, name, number) as process:
            before = 0.0 if name == _PLAIN else cpu_seconds(self.pids[name])
            _go(process)
            answer: dict[str, float] = json.loads(_line(process))
            after = 0.0 if name == _PLAIN else cpu_seconds(self.pids[name])
        return {**answer, "cpu": after - before}


def _line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        sys.exit(f"{process.args!r}: ended early")
    return line


def _go(process: subprocess.Popen[str]) -> None:
    if process.stdin:
        process.stdin.write("\n")
        process.stdin.flush()


def _issue(folder: Path) -> tuple[Path, Path, Path]:
    """Write the server's identity, the client's, and the client's authority; returns the paths.

    Two authorities, as the operator has them.
    """
    now = datetime.now(UTC)
    leases, clients = (certificates.new_authority(name, now) for name in ("leases", "clients"))
    server, client, authority = (folder / f"{name}.pem" for name in ("server", "client", "ca"))
    for path, issue, signer, uri in (
        (server, certificates.server_certificate, leases, LEASE_URI),
        (client, certificates.client_certificate, clients, CLIENT_URI),
    ):
        key = certificates.new_key()
        subject = certificates.Subject(uri=uri, until=now + timedelta(hours=12))
        certificate = issue(signer, key.public_key(), subject, now)
        path.write_text(certificates.key_pem(key) + certificates.pem(certificate))
    authority.write_text(certificates.pem(clients.certificate))
    return server, client, authority


def _relay_by(python: Path) -> Callable[[Task], Peer]:
    """Return the sentinel's relay as a peer that ``python`` runs."""

    def relay(task: Task) -> Peer:
        files = (str(task.identity), str(task.authority))
        words = ("-m", "devenv.bench_relay_server", str(task.port), str(task.upstream), *files)
        return Peer(command=(str(python), *words, CLIENT_URI), env={"PYTHONPATH": _SOURCES})

    return relay


def relays() -> dict[str, Callable[[Task], Peer]]:
    """Return the relay by every Python that is compared, by the name of its column.

    This machine's own may be a build without the optimisations that those of images have.
    """
    return {f"{RELAY}, {one.version}": _relay_by(one.path) for one in compared()}


def rates(stage: Stage) -> Table:
    """Return throughput per CPU second, each beside Envoy: medians, and of the ratios of each turn."""
    samples: _Samples = {mode: {name: [] for name in stage.ports} for mode, *_ in RATES}
    for _ in range(ROUNDS):
        for mode, number, *_ in RATES:
            for name in stage.ports:
                answer = stage.measured(mode, name, number)
                samples[mode][name].append(answer["count"] / answer["cpu"])
    table = Table("", *stage.ports, "goal", title="Per second of the proxy's CPU (beside Envoy)")
    for mode, _, shown, goal in RATES:
        found = samples[mode]
        table.add_row(shown, *(_beside(name, found) for name in stage.ports), goal)
    return table


def _beside(name: str, found: Mapping[str, Sequence[float]]) -> str:
    value = f"{statistics.median(found[name]):,.4g}"
    if name == ENVOY or ENVOY not in found:
        return value
    ratios = [one / peer for one, peer in zip(found[name], found[ENVOY], strict=True)]
    return f"{value} ({statistics.median(ratios):.2f}x)"


def latency(stage: Stage) -> Table:
    """Return the time to the first byte, and what each proxy adds to a plain connection."""
    samples: _Samples = {name: {"p50": [], "p99": []} for name in (_PLAIN, *stage.ports)}
    for _ in range(ROUNDS):
        for name, found in samples.items():
            answer = stage.measured("ttfb", name, 2000)
            for key, values in found.items():
                values.append(answer[key])
    title = "First byte on an open connection (goals: +300 µs, 1.1x Envoy)"
    table = Table("", "p50 µs", "added", "of Envoy", "p99 µs", title=title)
    plain = statistics.median(samples[_PLAIN]["p50"])
    for name, found in samples.items():
        p50, p99 = (statistics.median(found[key]) for key in ("p50", "p99"))
        peers = samples.get(ENVOY, found)["p50"]
        ratio = statistics.median(one / peer for one, peer in zip(found["p50"], peers, strict=True))
        added = ("", "") if name == _PLAIN else (f"+{p50 - plain:.0f}", f"{ratio:.2f}x")
        table.add_row(name, f"{p50:.0f}", *added, f"{p99:.0f}")
    return table


def memory(stage: Stage) -> Table:
    """Return the memory of each proxy, and its growth with idle connections."""
    table = Table("", "MiB", f"{IDLE} idle", title="Memory (goal: <= 20 MiB for 1,000 idle)")
    for name in stage.ports:
        before = kibibytes(stage.pids[name])
        with stage.client("idle", name, IDLE) as client:
            grown = kibibytes(stage.pids[name]) - before
            client.communicate("\n")
        table.add_row(name, f"{before / 1024:.1f}", f"+{grown / 1024:.1f}")
    return table


def main() -> int:
    begin("devenv.bench_relay", __doc__)
    console = Console(width=_WIDTH)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="garrison-bench-")))
        stage = Stage(folder, stack)
        for name, make in {**relays(), **PEERS}.items():
            stage.add(name, make)
        for show in (latency, rates, memory):
            console.print(show(stage))
    return 0


if __name__ == "__main__":
    sys.exit(main())
