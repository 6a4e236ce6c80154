"""What the statuses of leases and secrets say about trust: egress, secrets, certificates, restarts.

Counters carry the lease: the sum over a workload would fall when a lease goes, which reads as a reset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Raw: TypeAlias = Mapping[str, Any]
Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily

PLACE = ("namespace", "workload", "lease")


class TrustCollector(Collector):
    """Reads the engine's cache at scrape time; a lease that is closed has no series."""

    def __init__(self, objects: Callable[[str], Iterable[Raw]]) -> None:
        self._objects = objects

    def collect(self) -> Iterable[Family]:
        """Yield the families."""
        leases = [each for each in self._objects("AkashLease") if not _status(each).get("closedAt")]
        yield from _egress([each for each in leases if _status(each).get("egress")])
        yield from _sentinels([each for each in leases if _status(each).get("sentinel")])
        yield _busy(leases)
        yield _acknowledged(leases)
        yield from _secrets(self._objects("RotatingSecret"))


def _status(raw: Raw) -> Raw:
    found: Raw = raw.get("status") or {}
    return found


def _place(raw: Raw) -> tuple[str, str, str]:
    meta = raw["metadata"]
    return (meta.get("namespace", ""), raw["spec"]["workload"], meta["name"])


def _egress(leases: list[Raw]) -> Iterable[Family]:
    denied = CounterMetricFamily(
        "garrison_egress_denied", "Destinations denied.", labels=(*PLACE, "policy")
    )
    mining = CounterMetricFamily(
        "garrison_egress_mining_denied",
        "Of these, for known mining pools; of the destinations that the status lists.",
        labels=(*PLACE, "policy"),
    )
    level = GaugeMetricFamily(
        "garrison_egress_level",
        "1 at the level at which the replica's egress policy is enforced.",
        labels=(*PLACE, "policy", "level", "mode"),
    )
    for raw in leases:
        egress = raw["status"]["egress"]
        labels = (*_place(raw), egress.get("policy") or "")
        found = sum(each["count"] for each in egress.get("denied", ()) if each.get("mining"))
        denied.add_metric(labels, egress.get("deniedTotal", 0))
        mining.add_metric(labels, found)
        how = (egress.get("level", "Unknown"), egress.get("mode", "Enforce"))
        level.add_metric((*labels, *how), 1)
    return (denied, mining, level)


def _sentinels(leases: list[Raw]) -> Iterable[Family]:
    expiry = GaugeMetricFamily(
        "garrison_certificate_expiry_seconds",
        "When the lease's certificate expires, in seconds since 1970.",
        labels=PLACE,
    )
    starts = CounterMetricFamily(
        "garrison_sealed_starts", "Sentinel instances that were enrolled.", labels=PLACE
    )
    restarts = CounterMetricFamily(
        "garrison_sentinel_restarts",
        "Of these, instances that took the place of an earlier one.",
        labels=PLACE,
    )
    for raw in leases:
        place, sentinel = _place(raw), raw["status"]["sentinel"]
        count = sentinel.get("restarts", 0)
        expiry.add_metric(place, datetime.fromisoformat(sentinel["certificateUntil"]).timestamp())
        starts.add_metric(place, count + 1)
        restarts.add_metric(place, count)
    return (expiry, starts, restarts)


def _busy(leases: list[Raw]) -> Family:
    family = CounterMetricFamily(
        "garrison_busy_while_idle",
        "How often a replica began to be busy though no request came.",
        labels=PLACE,
    )
    for raw in leases:
        busy = _status(raw).get("busyWhileIdle") or {"times": 0}
        family.add_metric(_place(raw), busy.get("times", 1))
    return family


def _acknowledged(leases: list[Raw]) -> Family:
    family = GaugeMetricFamily(
        "garrison_secret_acknowledged_version",
        "Version of a secret that the replica has acknowledged.",
        labels=(*PLACE, "secret"),
    )
    for raw in leases:
        for each in _status(raw).get("secrets", ()):
            family.add_metric((*_place(raw), each["name"]), each.get("version", 0))
    return family


def _secrets(secrets: Iterable[Raw]) -> Iterable[Family]:
    labels = ("namespace", "secret")
    version = GaugeMetricFamily("garrison_secret_version", "Newest version.", labels=labels)
    live = GaugeMetricFamily("garrison_secret_live", "Credentials that are valid.", labels=labels)
    revoked = CounterMetricFamily(
        "garrison_secret_revoked", "Credentials that were revoked.", labels=labels
    )
    for raw in secrets:
        meta, status = raw["metadata"], _status(raw)
        name = (meta.get("namespace", ""), meta["name"])
        version.add_metric(name, status.get("version", 0))
        live.add_metric(name, status.get("live", 0))
        revoked.add_metric(name, status.get("revoked", 0))
    return (version, live, revoked)
