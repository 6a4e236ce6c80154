"""Figures from inside a replica: the closed list of families, and one page of samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Labels: TypeAlias = tuple[tuple[str, str], ...]

MAX_GPUS, MAX_DESTINATIONS, MAX_BUCKETS = 16, 50, 16
MAX_RELAYED = 1000
"""Series of its own that a workload may have relayed, for each replica."""
PLACE = ("namespace", "workload", "lease", "provider")
"""The labels that say whose figures they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One figure: its name after ``garrison_replica_``, and at most how many series of it are taken.

    ``source`` is the sentinel's name for it where that is another one; its value times ``scale`` is in
    the unit that the name states.
    """

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    limit: int = 1
    source: str = ""
    scale: float = 1.0

    @property
    def sent_as(self) -> str:
        """Return the sentinel's name for it, after ``garrison_sentinel_``."""
        return self.source or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value. ``name`` is the family's, or that with ``_bucket``, ``_sum`` or ``_count``."""

    family: str
    name: str
    labels: Labels = ()
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What was taken of one page; ``dropped`` is how many lines were not."""

    samples: tuple[Sample, ...] = ()
    dropped: int = 0

    def value(self, name: str) -> float | None:
        """Return the highest value of a name over all its labels, None when there is none."""
        return max((each.value for each in self.samples if each.name == name), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """Whose figures they are. ``provider`` is the provider's address on the market."""

    namespace: str
    workload: str
    lease: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """What a workload said of itself. ``reachable``: whether it said anything at the newest scrape."""

    samples: Samples = field(default_factory=Samples)
    reachable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The newest figures of one replica. ``reachable``: whether the newest scrape worked.

    ``relayed`` is None where the workload names no metrics of its own.
    """

    replica: Replica
    samples: Samples
    taken_at: datetime
    reachable: bool = True
    relayed: Relayed | None = None


def _gpu(name: str, text: str, source: str = "", scale: float = 1.0) -> Family:
    return Family(
        name=f"gpu_{name}",
        kind="gauge",
        text=text,
        labels=("gpu", "uuid"),
        limit=MAX_GPUS,
        source=f"gpu_{source}" if source else "",
        scale=scale,
    )


FAMILIES: tuple[Family, ...] = (
    Family(
        name="workload_cpu_seconds_total",
        kind="counter",
        text="CPU time of the workload's processes.",
    ),
    Family(
        name="workload_memory_bytes",
        kind="gauge",
        text="Resident memory of the workload's processes.",
    ),
    Family(name="workload_processes", kind="gauge", text="Processes of the workload."),
    Family(
        name="workload_busy_while_idle_seconds_total",
        kind="counter",
        text="Time that the sentinel saw work and no request; the operator's probes are requests.",
    ),
    Family(name="relay_connections", kind="gauge", text="Open connections of clients."),
    Family(name="relay_accepted_total", kind="counter", text="Connections let through."),
    Family(name="relay_refused_total", kind="counter", text="Connections refused."),
    Family(
        name="relay_requests_total",
        kind="counter",
        text="Requests, the operator's probes among them.",
    ),
    Family(name="relay_requests_in_flight", kind="gauge", text="Requests without a whole answer."),
    Family(
        name="relay_bytes_total",
        kind="counter",
        text="Bytes relayed from (in) and to (out) clients.",
        labels=("direction",),
        limit=2,
    ),
    Family(
        name="relay_first_byte_seconds",
        kind="histogram",
        text="From a request to the first byte of its answer.",
        limit=MAX_BUCKETS,
    ),
    Family(
        name="relay_request_seconds",
        kind="histogram",
        text="From a request to the end of its answer.",
        limit=MAX_BUCKETS,
    ),
    Family(name="egress_allowed_total", kind="counter", text="Connections outwards let through."),
    Family(name="egress_denied_total", kind="counter", text="Connections and names denied."),
    Family(name="egress_mining_total", kind="counter", text="Of these, for known mining pools."),
    Family(
        name="egress_denied_destination_total",
        kind="counter",
        text="Denials by destination.",
        labels=("destination", "port", "protocol", "reason", "address"),
        limit=MAX_DESTINATIONS,
    ),
    Family(
        name="egress_remaining_destinations",
        kind="gauge",
        text="Destinations that a changed policy denies and that are still connected.",
    ),
    Family(
        name="egress_connections",
        kind="gauge",
        text="Open connections outwards by destination.",
        labels=("destination", "port"),
        limit=MAX_DESTINATIONS,
    ),
    _gpu("utilization_ratio", "Share of time in which the GPU worked.", "utilization"),
    _gpu(
        "memory_utilization_ratio",
        "Share of time in which its memory was read or written.",
        "memory_utilization",
    ),
    _gpu("memory_used_bytes", "GPU memory in use."),
    _gpu("memory_total_bytes", "GPU memory."),
    _gpu("power_watts", "Power drawn.", "power_milliwatts", 1e-3),
    _gpu("temperature_celsius", "Temperature.", "celsius"),
    _gpu("sm_clock_hertz", "Clock of the processors.", "sm_megahertz", 1e6),
    _gpu("memory_clock_hertz", "Clock of the memory.", "memory_megahertz", 1e6),
    _gpu("ecc_errors", "Uncorrected memory errors since the driver was loaded."),
    _gpu("xid", "Number of the newest Xid error, 0 when there was none."),
)
"""Everything that is taken from a replica; a page may say more, and it is dropped."""
