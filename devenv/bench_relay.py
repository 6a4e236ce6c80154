"""``make bench``: the sentinel's relay beside Envoy, HAProxy and nginx, and the sentinel's start.

Each proxy has one core to itself, client and upstream share another; all take turns in one run.
Rates are per second of the proxy's own CPU time, because the client shares its core. Figures are
printed, and gate nothing.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from devenv.bench_relay_peers import Peer, Task, envoy, haproxy, nginx
from devenv.errors import DevenvError
from devenv.sentinel import write
from garrison.adapters.sentinel import certificates
from sentinel.relay.settings import Identity, Settings
from sentinel.relay.workers import Relay

ROUNDS, STARTS = 3, 5
SOURCE = Path(__file__).with_suffix(".go")
CLIENT_URI, LEASE_URI = "spiffe://bench/ns/a/iw/b", "spiffe://bench/lease/c"
RELAY, ENVOY = "sentinel", "envoy"
IDLE = 1000
_TICKS = os.sysconf("SC_CLK_TCK")
# mode of the Go program, its number, what is shown, and the issue's goal beside Envoy
RATES: tuple[tuple[str, int, str, str], ...] = (
    ("requests1", 2000, "requests/CPU s, 1 connection", ">= 0.9x"),
    ("requests32", 2000, "requests/CPU s, 32 connections", ">= 1.0x"),
    ("connections", 2000, "new connections/CPU s", ">= 0.6x"),
    ("bulk", 2, "bulk, GB/CPU s", ">= 0.85x"),
    ("events", 200, "events/CPU s, 200 streams", ">= 1.0x"),
)
PEERS: Mapping[str, Callable[[Task], Peer]] = {ENVOY: envoy, "haproxy": haproxy, "nginx": nginx}
_Samples = dict[str, dict[str, list[float]]]


class Stage:
    """Certificates, the Go program, and one proxy after another in front of one upstream."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.identity, self.client, self.authority = _issue(folder)
        self.program = folder / "bench"
        subprocess.run(["go", "build", "-o", str(self.program), str(SOURCE)], check=True)
        cores = sorted(os.sched_getaffinity(0))
        self._proxy_core, self._rest_core = cores[0], cores[-1]
        self.upstream = _free_port()
        serve = [str(self.program), "serve", str(self.upstream)]
        stack.enter_context(self._running(serve, {}, self._rest_core, self.upstream))
        self.ports: dict[str, int] = {}
        self.pids: dict[str, int] = {}

    def add(self, name: str, make: Callable[[Task], Peer]) -> None:
        """Start a proxy; one that cannot be had is named and left out."""
        task = Task(
            folder=self.folder,
            port=_free_port(),
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
                _wait_for(port, process)
                yield process.pid
            finally:
                process.terminate()

    def client_command(
        self, mode: str, port: int, number: int, *, plain: bool = False
    ) -> list[str]:
        """Return the command of the Go program as a client, on the other core."""
        identity = "-" if plain else str(self.client)
        words = [mode, str(port), identity, str(self.authority), str(number)]
        return ["taskset", "-c", str(self._rest_core), str(self.program), *words]

    def measured(
        self, mode: str, port: int, number: int, *, plain: bool = False
    ) -> dict[str, float]:
        """Return what a client of the Go program measures."""
        command = self.client_command(mode, port, number, plain=plain)
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        answer: dict[str, float] = json.loads(ran.stdout)
        return answer


def _issue(folder: Path) -> tuple[Path, Path, Path]:
    """Write the server's identity, the client's, and their authority; returns the paths."""
    now = datetime.now(UTC)
    signer = certificates.new_authority("bench", now)
    paths = folder / "server.pem", folder / "client.pem", folder / "ca.pem"
    issuers = (certificates.server_certificate, certificates.client_certificate)
    for path, issue, uri in zip(paths, issuers, (LEASE_URI, CLIENT_URI), strict=False):
        key = certificates.new_key()
        subject = certificates.Subject(uri=uri, until=now + timedelta(hours=12))
        certificate = issue(signer, key.public_key(), subject, now)
        path.write_text(certificates.key_pem(key) + certificates.pem(certificate))
    paths[2].write_text(certificates.pem(signer.certificate))
    return paths


def _relay(task: Task) -> Peer:
    arguments = (str(task.port), str(task.upstream), str(task.identity), str(task.authority))
    return Peer(command=(sys.executable, "-m", "devenv.bench_relay", *arguments), env={})


def serve_relay(port: int, upstream: int, identity: Path, authority: Path) -> None:
    """Be the sentinel's relay with one worker, as in a container of one core."""
    text = identity.read_text()
    certificate = text[text.index("-----BEGIN CERTIFICATE") :]
    relay = Relay(1)
    presented = Identity(certificate, text.removesuffix(certificate), [authority.read_text()])
    relay.open(Settings("127.0.0.1", port, upstream, CLIENT_URI, presented))
    os.waitpid(relay.pid, 0)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{process.args!r}: port {port} does not open")
        time.sleep(0.05)


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _cpu_seconds(pid: int) -> float:
    stats = (Path(f"/proc/{each}/stat").read_text().rpartition(")")[2] for each in _tree(pid))
    return sum(int(each) for stat in stats for each in stat.split()[11:13]) / _TICKS


def _kibibytes(pid: int) -> int:
    """Return the memory of a process and its children, shared pages divided."""
    rolls = (Path(f"/proc/{each}/smaps_rollup").read_text() for each in _tree(pid))
    lines = (line for roll in rolls for line in roll.splitlines() if line.startswith("Pss:"))
    return sum(int(line.split()[1]) for line in lines)


def rates(stage: Stage) -> Table:
    """Return throughput per CPU second, each beside Envoy."""
    samples: _Samples = {mode: {name: [] for name in stage.ports} for mode, *_ in RATES}
    for _ in range(ROUNDS):
        for mode, number, *_ in RATES:
            for name, port in stage.ports.items():
                before = _cpu_seconds(stage.pids[name])
                answer = stage.measured(mode, port, number)
                spent = max(_cpu_seconds(stage.pids[name]) - before, 1 / _TICKS)
                samples[mode][name].append(answer["count"] / spent)
    table = Table("", *stage.ports, "goal", title="Per second of the proxy's CPU (beside Envoy)")
    for mode, _, shown, goal in RATES:
        medians = {name: statistics.median(values) for name, values in samples[mode].items()}
        peer = medians.get(ENVOY)
        cells = [
            f"{value:,.4g}" + (f" ({value / peer:.2f}x)" if peer and name != ENVOY else "")
            for name, value in medians.items()
        ]
        table.add_row(shown, *cells, goal)
    return table


def latency(stage: Stage) -> Table:
    """Return the time to the first byte, and what each proxy adds to a plain connection."""
    ports = {"plain": stage.upstream, **stage.ports}
    samples: _Samples = {name: {"p50": [], "p99": []} for name in ports}
    for _ in range(ROUNDS):
        for name, port in ports.items():
            for key, value in stage.measured("ttfb", port, 2000, plain=name == "plain").items():
                samples[name][key].append(value)
    table = Table("", "p50 µs", "added", "p99 µs", title="First byte on an open connection")
    plain = statistics.median(samples["plain"]["p50"])
    for name, found in samples.items():
        p50, p99 = (statistics.median(found[key]) for key in ("p50", "p99"))
        added = "" if name == "plain" else f"+{p50 - plain:.0f} (goal 300)"
        table.add_row(name, f"{p50:.0f}", added, f"{p99:.0f}")
    return table


def memory(stage: Stage) -> Table:
    """Return the memory of each proxy, and its growth with idle connections."""
    table = Table("", "MiB", f"{IDLE} idle", title="Memory (goal: <= 20 MiB for 1,000 idle)")
    for name, port in stage.ports.items():
        before = _kibibytes(stage.pids[name])
        command = stage.client_command("idle", port, IDLE)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
            assert client.stdout is not None  # noqa: S101 -- it is a pipe
            client.stdout.readline()
            grown = _kibibytes(stage.pids[name]) - before
            client.communicate(b"")
        table.add_row(name, f"{before / 1024:.1f}", f"+{grown / 1024:.1f}")
    return table


def start(folder: Path) -> Table:
    """Return how long the sentinel takes until its control port is open, and its memory."""
    archive, seconds, kibibytes, cpu = write(folder / "sentinel.pyz"), [], 0, []
    bootstrap = _bootstrap(folder)
    command = [sys.executable, "-I", "-S", str(archive), "run", "--listen", "127.0.0.1"]
    for _ in range(STARTS):
        ports = _free_port(), _free_port()
        bootstrap.update(dataPort=ports[0], controlPort=ports[1])
        env = {"GARRISON_BOOTSTRAP": base64.b64encode(json.dumps(bootstrap).encode()).decode()}
        began = time.monotonic()
        with subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL) as process:
            _wait_for(ports[1], process)
            seconds.append(time.monotonic() - began)
            cpu.append(_cpu_seconds(process.pid))
            kibibytes = _kibibytes(process.pid)
            process.terminate()
    table = Table("", "median", "goal", title="The sentinel's start")
    table.add_row("until ready to enrol", f"{statistics.median(seconds) * 1e3:.0f} ms", "150 ms")
    table.add_row("CPU until then", f"{statistics.median(cpu) * 1e3:.0f} ms", "")
    table.add_row("memory, all its processes", f"{kibibytes / 1024:.1f} MiB", "30 MB")
    return table


def _bootstrap(folder: Path) -> dict[str, object]:
    text = (folder / "server.pem").read_text()
    at = text.index("-----BEGIN CERTIFICATE")
    return {
        "version": 1,
        "lease": "c",
        "namespace": "a",
        "workload": "b",
        "trustDomain": "bench",
        "operatorCAs": [(folder / "ca.pem").read_text()],
        "certificate": text[at:],
        "key": text[:at],
        "egress": {"version": 0, "spec": {}},
    }


def main() -> int:
    if len(sys.argv) > 1:
        port, upstream, identity, authority = sys.argv[1:]
        serve_relay(int(port), int(upstream), Path(identity), Path(authority))
        return 0
    console = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="garrison-bench-")))
        stage = Stage(folder, stack)
        for name, make in {RELAY: _relay, **PEERS}.items():
            stage.add(name, make)
        for show in (latency, rates, memory):
            console.print(show(stage))
        console.print(start(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
