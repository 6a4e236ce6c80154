"""Every metric of the operator, in one registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from garrison.api.meta import Key

PASS_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class EngineMeter:
    """Implements the engine's ``Meter`` on Prometheus counters."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._passes = Histogram(
            "garrison_pass_seconds",
            "Duration of one reconcile pass.",
            ("kind", "outcome"),
            buckets=PASS_BUCKETS,
            registry=registry,
        )
        self._actions = Counter(
            "garrison_actions",
            "Actions performed; reason is empty when they worked.",
            ("kind", "action", "reason"),
            registry=registry,
        )
        self._writes = Counter(
            "garrison_api_writes",
            "Writes to the Kubernetes API: status or event.",
            ("kind", "write"),
            registry=registry,
        )
        self._ghosts = Counter(
            "garrison_resync_ghosts",
            "Objects whose deletion no watch event told of.",
            registry=registry,
        )

    def passed(self, key: Key, seconds: float, outcome: str) -> None:
        self._passes.labels(key.kind, outcome).observe(seconds)

    def acted(self, key: Key, action: str, error: Exception | None) -> None:
        reason = getattr(error, "reason", "Crashed") if error is not None else ""
        self._actions.labels(key.kind, action, reason).inc()

    def wrote(self, key: Key, kind: str) -> None:
        self._writes.labels(key.kind, kind).inc()

    def resynced(self, objects: int, ghosts: int) -> None:
        del objects
        self._ghosts.inc(ghosts)


class StateCollector(Collector):
    """Gauges read from the engine's cache at scrape time: spend, leases, queue."""

    def __init__(
        self,
        objects: Callable[[str], Iterable[Mapping[str, Any]]],
        queue: Callable[[], tuple[int, int]],
    ) -> None:
        self._objects = objects
        self._queue = queue

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the gauges."""
        yield self._leases()
        yield from self._accounts()
        yield self._replicas()
        yield from self._integrity()
        waiting, due = self._queue()
        family = GaugeMetricFamily("garrison_queue_keys", "Keys in the queue.", labels=("state",))
        family.add_metric(("waiting",), waiting - due)
        family.add_metric(("due",), due)
        yield family

    def _leases(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily("garrison_leases", "AkashLeases by phase.", labels=("phase",))
        counts: dict[str, int] = {}
        for raw in self._objects("AkashLease"):
            phase = (raw.get("status") or {}).get("phase", "Pending")
            counts[phase] = counts.get(phase, 0) + 1
        for phase, count in sorted(counts.items()):
            family.add_metric((phase,), count)
        return family

    def _accounts(self) -> Iterable[GaugeMetricFamily]:
        fields = (
            ("burnPerHour", "garrison_burn_dollars_per_hour", "What open grants may cost an hour."),
            ("balance", "garrison_balance_dollars", "What can be deposited."),
            ("runwayHours", "garrison_runway_hours", "Balance divided by burn."),
        )
        for field, name, text in fields:
            family = GaugeMetricFamily(name, text, labels=("account",))
            for raw in self._objects("AkashAccount"):
                value = (raw.get("status") or {}).get(field)
                if value is not None:
                    family.add_metric((raw["metadata"]["name"],), float(value))
            yield family

    def _integrity(self) -> Iterable[GaugeMetricFamily]:
        """Of every lease that was looked into; a drifted one counts until it is closed."""
        labels = ("namespace", "workload", "lease", "provider", "reference")
        drifted = GaugeMetricFamily(
            "garrison_integrity_drifted",
            "1 while what is inside a replica is not what its reference says.",
            labels=labels,
        )
        strange = GaugeMetricFamily(
            "garrison_integrity_unexplained",
            "Programs and libraries in a replica that its reference does not explain, at most 10.",
            labels=labels,
        )
        for raw in self._objects("AkashLease"):
            status = raw.get("status") or {}
            found = status.get("integrity")
            if found is None or status.get("closedAt"):
                continue
            meta = raw["metadata"]
            place = (
                meta.get("namespace", ""),
                raw["spec"]["workload"],
                meta["name"],
                status.get("provider") or "",
                found["reference"],
            )
            drifted.add_metric(place, found.get("state") == "Drifted")
            strange.add_metric(place, len(found.get("unexplained") or ()))
        yield from (drifted, strange)

    def _replicas(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "garrison_workload_replicas",
            "Replicas of each workload.",
            labels=("namespace", "workload", "state"),
        )
        for raw in self._objects("InferenceWorkload"):
            meta, status = raw["metadata"], raw.get("status") or {}
            place = (meta.get("namespace", ""), meta["name"])
            family.add_metric((*place, "wanted"), raw["spec"].get("replicas", 1))
            family.add_metric((*place, "ready"), status.get("readyReplicas", 0))
        return family
