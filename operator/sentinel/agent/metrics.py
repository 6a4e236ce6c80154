"""Prometheus text about the container, and the rule that notices work nobody asked for."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from typing import Any, Callable, Iterable, List, Optional, Set, Tuple  # noqa: UP035 -- Python 3.9

from sentinel.agent import processes, program
from sentinel.agent.children import Children
from sentinel.agent.connections import outbound
from sentinel.agent.connectivity import environment
from sentinel.agent.errors import Refusal
from sentinel.agent.guarding import Guarding
from sentinel.agent.outsiders import Outsiders
from sentinel.relay.counters import BUCKETS, Histogram, Totals

SAMPLE_SECONDS = 5.0
BUSY_CORES, BUSY_GPU = 0.5, 0.2
IDLE_SECONDS, GRACE_SECONDS = 30.0, 600.0
_GPU_SECONDS = 5.0
GPU_RETRY_SECONDS = 60.0
_LIBRARIES = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
"""Where some images find the driver's library."""
_Labels = Tuple[Tuple[str, Any], ...]  # noqa: UP006


def is_busy_while_idle(
    *, cores: float, gpu: float, quiet: float, lived: float, served: bool
) -> bool:
    """Tell whether the workload works though nothing asked it to.

    ``quiet``: seconds since the relay last saw a request (infinite: never). A workload that has
    served nothing yet may be loading its model for the first ten minutes.
    """
    if quiet < IDLE_SECONDS or (not served and lived < GRACE_SECONDS):
        return False
    return cores >= BUSY_CORES or gpu >= BUSY_GPU


class Page:
    """A page of metrics in Prometheus' text format."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, kind: str, *samples: Tuple[_Labels, float]) -> None:  # noqa: UP006
        """Append one metric: pairs of labels and value."""
        self._lines.append(f"# TYPE garrison_sentinel_{name} {kind}")
        for labels, value in samples:
            self._sample(name, labels, value)

    def histogram(self, name: str, histogram: Histogram) -> None:
        """Append a histogram of seconds."""
        self._lines.append(f"# TYPE garrison_sentinel_{name} histogram")
        seen = 0
        for bound, count in zip((*BUCKETS, "+Inf"), histogram.counts):
            seen += count
            self._sample(f"{name}_bucket", (("le", bound),), seen)
        self._sample(f"{name}_sum", (), histogram.seconds)
        self._sample(f"{name}_count", (), seen)

    def _sample(self, name: str, labels: _Labels, value: float) -> None:
        inner = ",".join(f'{key}="{_escaped(str(text))}"' for key, text in labels)
        braces = f"{{{inner}}}" if inner else ""
        self._lines.append(f"garrison_sentinel_{name}{braces} {value:.17g}")

    def text(self) -> bytes:
        """Return the page."""
        return ("\n".join(self._lines) + "\n").encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Sampler:
    """Adds up what the workload's processes use; looks every ``SAMPLE_SECONDS``."""

    def __init__(
        self,
        guarding: Guarding,
        children: Children,
        totals: Callable[[], Totals],
        keep: Callable[[], Set[int]],  # noqa: UP006
        began: Callable[[], float],
    ) -> None:
        self._guarding, self._children = guarding, children
        self._totals, self._keep, self._began = totals, keep, began
        self._lock = threading.Lock()
        self._seen: dict[tuple[int, int], float] = {}
        self._cpu = self._busy = 0.0
        self._memory = self._count = 0
        self._at = time.monotonic()
        self._gpus: Optional[program.Program] = None  # noqa: UP045
        self._gpus_after = 0.0
        self.outsiders = Outsiders()

    def run(self) -> None:
        """Sample for ever: for a thread."""
        while True:
            time.sleep(SAMPLE_SECONDS)
            with suppress(OSError, Refusal, ValueError):
                self.sample()

    def sample(self) -> None:
        """Look once."""
        with self._lock:
            self.outsiders.look()
            now = time.monotonic()
            spent, passed = self._take(), max(now - self._at, 1e-3)
            self._at = now
            began = self._began()
            if not began:
                return
            gpu = max((each.get("utilization", 0.0) for each in self._read_gpus()), default=0.0)
            totals = self._totals()
            counts = totals.counts
            served = counts["requests"] > 0
            quiet = now - counts["last_request"] if served else float("inf")
            if not counts["in_flight"] and is_busy_while_idle(
                cores=spent / passed,
                gpu=gpu,
                quiet=quiet,
                lived=time.time() - began,
                served=served,
            ):
                self._busy += passed

    def _take(self) -> float:
        """Return the CPU seconds spent since the last look."""
        ours = {self._gpus.pid} if self._gpus else set()
        running = processes.others(self._keep() | ours)
        now = {(each.pid, each.started): each.cpu for each in running}
        spent = sum(max(cpu - self._seen.get(key, 0.0), 0.0) for key, cpu in now.items())
        self._seen = now
        self._cpu += spent
        self._memory, self._count = sum(each.memory for each in running), len(running)
        return spent

    def _read_gpus(self) -> List[Any]:  # noqa: UP006
        if time.monotonic() < self._gpus_after:
            return []
        if self._gpus is None:
            argv, env = program.python(program.source("nvml")), {**environment(), **_LIBRARIES}
            self._gpus = program.Program(self._guarding, self._children, argv, env)
        self._gpus.send(b"\n")
        line = self._gpus.line(_GPU_SECONDS)
        if not line:  # no library, a driver that hangs, or somebody ended it: not for ever
            self._gpus.close()
            self._gpus, self._gpus_after = None, time.monotonic() + GPU_RETRY_SECONDS
            return []
        gpus = json.loads(line)
        return gpus if isinstance(gpus, list) else []

    def forget(self) -> None:
        """End the program that reads GPUs."""
        with self._lock:
            if self._gpus:
                self._gpus.close()
                self._gpus = None

    def page(self, denied: Iterable[dict[str, Any]]) -> bytes:
        """Return the metrics of now."""
        self.sample()
        page, totals = Page(), self._totals()
        with self._lock:
            gpus = self._read_gpus() if self._began() else []
            _workload(page, self._cpu, self._memory, self._count, self._busy)
        _relay(page, totals)
        _egress(page, self._guarding.totals(), denied, len(self._guarding.remaining()))
        _gpus(page, gpus)
        return page.text()


def _workload(page: Page, cpu: float, memory: int, count: int, busy: float) -> None:
    page.add("workload_cpu_seconds_total", "counter", ((), cpu))
    page.add("workload_memory_bytes", "gauge", ((), memory))
    page.add("workload_processes", "gauge", ((), count))
    page.add("workload_busy_while_idle_seconds_total", "counter", ((), busy))


def _relay(page: Page, totals: Totals) -> None:
    counts = totals.counts
    page.add("relay_connections", "gauge", ((), counts["connections"]))
    page.add("relay_accepted_total", "counter", ((), counts["accepted"]))
    page.add("relay_refused_total", "counter", ((), counts["refused"]))
    page.add("relay_requests_total", "counter", ((), counts["requests"]))
    page.add("relay_requests_in_flight", "gauge", ((), counts["in_flight"]))
    page.add(
        "relay_bytes_total",
        "counter",
        ((("direction", "in"),), counts["bytes_in"]),
        ((("direction", "out"),), counts["bytes_out"]),
    )
    page.histogram("relay_first_byte_seconds", totals.first_byte)
    page.histogram("relay_request_seconds", totals.total)


def _egress(
    page: Page, totals: dict[str, int], denied: Iterable[dict[str, Any]], remaining: int
) -> None:
    page.add("egress_remaining_destinations", "gauge", ((), remaining))
    page.add("egress_allowed_total", "counter", ((), totals["allowed"]))
    page.add("egress_denied_total", "counter", ((), totals["denied"] + totals["namesDenied"]))
    page.add("egress_mining_total", "counter", ((), totals["mining"]))
    named = ("destination", "port", "protocol", "reason")
    page.add(
        "egress_denied_destination_total",
        "counter",
        *(
            (tuple((name, each[name]) for name in (*named, "address")), each["count"])
            for each in denied
        ),
    )
    opened = outbound()
    labels = ((("destination", host), ("port", port)) for host, port in opened)
    page.add("egress_connections", "gauge", *zip(labels, opened.values()))


def _gpus(page: Page, gpus: List[Any]) -> None:  # noqa: UP006
    names = sorted({name for each in gpus for name in each} - {"gpu", "uuid"})
    for name in names:
        samples = [
            ((("gpu", each["gpu"]), ("uuid", each.get("uuid", ""))), each[name])
            for each in gpus
            if name in each
        ]
        page.add(f"gpu_{name}", "gauge", *samples)
