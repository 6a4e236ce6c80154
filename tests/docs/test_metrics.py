"""The page about metrics lists what the operator shows, and its alerts ask for nothing else."""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry

from garrison.adapters.sentinel import relayed
from garrison.ports.samples import (
    FAMILIES,
    MAX_BUCKETS,
    MAX_DESTINATIONS,
    MAX_GPUS,
    MAX_RELAYED,
    PLACE,
)
from garrison.telemetry.metrics import EngineMeter, StateCollector
from garrison.telemetry.relayed import PREFIX as RELAYED
from garrison.telemetry.relayed import RelayedCollector
from garrison.telemetry.replicas import PREFIX, ReplicaCollector
from garrison.telemetry.trust import TrustCollector
from tests.docs.document import document

METRICS = document("docs/metrics.md")
SERIES = 400
"""What the page promises of one replica."""


def shown() -> dict[str, str]:
    """Every family that the operator shows, by its name in a query, with its type."""
    registry = CollectorRegistry()
    EngineMeter(registry)
    registry.register(StateCollector(lambda _: (), lambda: (0, 0)))
    registry.register(TrustCollector(lambda _: ()))
    registry.register(ReplicaCollector(lambda: ()))
    registry.register(RelayedCollector(lambda: ()))
    return {
        each.name + ("_total" if each.type == "counter" else ""): each.type
        for each in registry.collect()
    }


def test_every_metric_is_listed_once_and_no_other() -> None:
    listed = METRICS.cells("Metric")
    assert sorted(listed) == sorted(shown())


def test_every_figure_from_inside_is_described_as_the_code_says() -> None:
    for family in FAMILIES:
        labels = " " + ", ".join(family.labels) + " " if family.labels else " "
        row = f"| `{PREFIX}{family.name}` | {family.kind} |{labels}| {family.text} |"
        assert row in METRICS.prose


def test_every_alert_asks_for_metrics_that_exist() -> None:
    alerts = [each.text for each in METRICS.blocks if each.language == "promql"]
    assert len(alerts) == 3
    for text in alerts:
        names = re.findall(r"\bgarrison_\w+", text)
        assert names
        for name in names:
            assert name in shown() or shown()[name.removesuffix("_bucket")] == "histogram", name


def test_a_replica_has_fewer_series_than_the_page_promises() -> None:
    histograms = sum(each.kind == "histogram" for each in FAMILIES)
    series = sum(each.limit for each in FAMILIES) + histograms * 2
    assert series < SERIES
    for bound in (SERIES, MAX_GPUS, MAX_DESTINATIONS, MAX_BUCKETS):
        assert str(bound) in METRICS.prose


def test_the_bounds_of_what_is_relayed_are_the_page_s() -> None:
    section = METRICS.prose.partition("## The workload's own")[2].partition("\n## ")[0]
    assert f"`{RELAYED}" in section
    for bound in (MAX_RELAYED, relayed.MAX_LABELS, relayed.MAX_VALUE, relayed.MAX_LINE):
        assert f" {bound} " in section, bound
    for name in PLACE:
        assert f"`{name}`" in section
