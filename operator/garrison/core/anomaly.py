"""Busy while idle: a replica that works though nobody asks it to. The first cheap sign of a hijack.

It alerts and does nothing else: a model that compiles or warms a cache looks the same, and a provider
that owns the machine can write figures as it likes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from garrison.api.lease import BusyStatus
from garrison.ports.samples import Samples

BUSY_CPU_SHARE = 0.5
"""Of the rented cores. A server that polls its queues burns a core or two when idle; a miner takes all."""
BUSY_GPU_RATIO = 0.2
WINDOW = timedelta(seconds=120)
"""How long every reading must show work and no request."""
WARM_UP = timedelta(seconds=300)
"""After Ready: caches are filled and kernels compiled."""
MAX_GAP = timedelta(seconds=60)
"""Between two readings; what happened in a longer one is not known."""
STRAY = 1
"""Requests more than the operator's own probes: one may be under way at either end of the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One look at a replica. ``probes``: requests that the operator itself has sent there so far."""

    at: datetime
    cpu_seconds: float
    gpu: float
    requests: int
    in_flight: int
    probes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigil:
    """The readings after ``first`` up to ``last`` all show work and no request.

    ``rests``: the newest one shows a replica that rests or is asked.
    """

    first: Reading
    last: Reading
    rests: bool = False
    cores: float = 0.0
    """cores in use between the last two readings"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a vigil has come to: ``busy`` None while that is not decided."""

    busy: bool | None
    since: datetime
    text: str = ""


def reading_of(samples: Samples, at: datetime, probes: int) -> Reading | None:
    """Return the figures that the rule looks at, None when the page lacks them."""
    cpu = samples.value("workload_cpu_seconds_total")
    requests = samples.value("relay_requests_total")
    in_flight = samples.value("relay_requests_in_flight")
    if cpu is None or requests is None or in_flight is None:
        return None
    return Reading(
        at=at,
        cpu_seconds=cpu,
        gpu=samples.value("gpu_utilization_ratio") or 0.0,
        requests=int(requests),
        in_flight=int(in_flight),
        probes=probes,
    )


def watched(vigil: Vigil | None, reading: Reading, rented_cores: float) -> Vigil:
    """Return the vigil with one more reading; it begins anew where the replica rests or is asked."""
    if vigil is None or _is_broken(vigil.last, reading):
        return Vigil(first=reading, last=reading)
    passed = (reading.at - vigil.last.at).total_seconds()
    cores = (reading.cpu_seconds - vigil.last.cpu_seconds) / passed
    works = cores >= BUSY_CPU_SHARE * rented_cores or reading.gpu >= BUSY_GPU_RATIO
    if not works or _is_asked(vigil.first, reading):
        return Vigil(first=reading, last=reading, rests=True, cores=cores)
    return replace(vigil, last=reading, rests=False, cores=cores)


def _is_broken(before: Reading, after: Reading) -> bool:
    """Whether the counters began anew in between, or too long ago to tell."""
    ran_back = (
        after.cpu_seconds < before.cpu_seconds
        or after.requests < before.requests
        or after.probes < before.probes
    )
    return ran_back or not timedelta(0) < after.at - before.at <= MAX_GAP


def _is_asked(first: Reading, reading: Reading) -> bool:
    others = (reading.requests - first.requests) - (reading.probes - first.probes)
    return reading.in_flight > 0 or others > STRAY


def finding(vigil: Vigil, ready_since: datetime | None) -> Finding:
    """Return what the vigil says; work counts once the warm-up has passed."""
    since, last = vigil.first.at, vigil.last
    if vigil.rests:
        return Finding(busy=False, since=since)
    if ready_since is None or last.at - max(since, ready_since + WARM_UP) < WINDOW:
        return Finding(busy=None, since=since)
    text = f"{vigil.cores:.1f} cores and the GPU at {last.gpu:.0%}"
    return Finding(busy=True, since=since, text=text)


def told(known: BusyStatus | None, found: Finding | None, now: datetime) -> BusyStatus | None:
    """Return the record after a finding: it changes when being busy begins or ends, never between."""
    if found is None or found.busy is None:
        return known
    lasting = known is not None and known.until is None
    if found.busy == lasting:
        return known
    if not found.busy:
        assert known is not None  # noqa: S101 - it lasts
        return replace(known, until=now.replace(microsecond=0))
    times = known.times + 1 if known is not None else 1
    return BusyStatus(since=found.since.replace(microsecond=0), times=times, message=found.text)
