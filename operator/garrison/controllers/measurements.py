"""Probes and benchmarks in the background, one of each per lease, never blocking a pass."""

from __future__ import annotations

from datetime import datetime

from garrison.api.lease import EndpointStatus
from garrison.api.meta import LEASE, Key
from garrison.core.health import Track, advance, counted_from, next_probe
from garrison.core.identity import peer_of
from garrison.core.lifecycle import Observation, entered
from garrison.core.variant import variant
from garrison.errors import UnsafeDestinationError
from garrison.ports.clock import Clock
from garrison.ports.probe import (
    BenchmarkAsk,
    BenchmarkFigures,
    ProbeOutcome,
    Prober,
    ProbeResult,
    Screen,
)
from garrison.runtime.jobs import Jobs

PROBE = "probe"
BENCHMARK = "benchmark"


class Measurements:
    """Starts what is due and folds in what has finished."""

    def __init__(self, *, jobs: Jobs, screen: Screen, prober: Prober, clock: Clock) -> None:
        self._jobs = jobs
        self._screen = screen
        self._prober = prober
        self._clock = clock
        self._tracks: dict[Key, tuple[EndpointStatus, Track]] = {}

    def forget(self, key: Key) -> None:
        """Drop a lease's probes."""
        self._tracks.pop(key, None)
        self._jobs.cancel(key)

    def observe(self, o: Observation) -> Observation:
        """Return the observation with the newest probes and figures; start a probe that is due."""
        key = _key(o)
        endpoint = o.status.endpoint
        if endpoint is None or o.status.phase == "Enrolling":
            return o
        began = entered(o.status, "Ready") if o.status.phase == "Ready" else None
        track, unsafe = self._folded(key, endpoint, began)
        due = next_probe(track, self._period(o), o.now) <= 0
        if due and not self._jobs.running(key, PROBE):
            self._jobs.start(key, PROBE, lambda: self._probe(o, endpoint))
        figures, error = self._figures(key)
        return variant(
            o,
            track=track,
            probing=self._jobs.running(key, PROBE),
            unsafe=unsafe,
            measuring=self._jobs.running(key, BENCHMARK),
            figures=figures,
            measure_error=error,
        )

    def _period(self, o: Observation) -> float:
        """A starting replica is probed every second: most of its wait would else be ours."""
        if o.status.phase == "Verifying":
            return min(float(o.health.period_seconds), 1.0)
        return float(o.health.period_seconds)

    def _folded(
        self, key: Key, endpoint: EndpointStatus, began: datetime | None
    ) -> tuple[Track, str]:
        known = self._tracks.get(key)
        track = known[1] if known is not None and known[0] == endpoint else Track()
        result = self._jobs.take(key, PROBE)
        unsafe = ""
        if result is not None:
            outcome = _outcome(result.value, result.error)
            unsafe = str(result.error) if isinstance(result.error, UnsafeDestinationError) else ""
            track = advance(track, outcome, self._clock.now())
        track = counted_from(track, began)
        self._tracks[key] = (endpoint, track)
        return track, unsafe

    def _figures(self, key: Key) -> tuple[BenchmarkFigures | None, str]:
        """What a benchmark that has ended gave, or why it gave nothing."""
        result = self._jobs.take(key, BENCHMARK)
        if result is None:
            return None, ""
        if isinstance(result.value, BenchmarkFigures):
            return result.value, ""
        return None, str(result.error) or "the benchmark got no answer"

    async def _probe(self, o: Observation, endpoint: EndpointStatus) -> ProbeResult:
        destination = await self._screen.destination(
            endpoint.host, endpoint.port, allow_private=_allows_private(o)
        )
        timeout = float(o.health.timeout_seconds)
        return await self._prober.probe(
            destination, o.health.path, timeout_seconds=timeout, peer=peer_of(o.lease)
        )

    def benchmark(self, o: Observation) -> None:
        """Start the benchmark unless one is running."""
        key = _key(o)
        endpoint = o.status.endpoint
        if endpoint is not None and not self._jobs.running(key, BENCHMARK):
            self._jobs.start(key, BENCHMARK, lambda: self._benchmark(o, endpoint))

    async def _benchmark(self, o: Observation, endpoint: EndpointStatus) -> BenchmarkFigures:
        destination = await self._screen.destination(
            endpoint.host, endpoint.port, allow_private=_allows_private(o)
        )
        ask = BenchmarkAsk(model=o.benchmark.model)
        return await self._prober.benchmark(destination, ask, peer=peer_of(o.lease))


def _outcome(value: object, error: Exception | None) -> ProbeResult:
    if isinstance(value, ProbeResult):
        return value
    return ProbeResult(outcome=ProbeOutcome.REFUSED, message=str(error))


def _allows_private(o: Observation) -> bool:
    return o.account is not None and o.account.spec.allow_private_addresses


def _key(o: Observation) -> Key:
    return Key(kind=LEASE.kind, namespace=o.lease.meta.namespace, name=o.lease.meta.name)
