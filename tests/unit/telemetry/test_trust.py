"""Metrics about trust and about replicas, as a scraper of the operator reads them."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from garrison.ports.samples import FAMILIES, Page, Replica, Sample, Samples
from garrison.telemetry.replicas import ReplicaCollector
from garrison.telemetry.trust import TrustCollector
from tests.builders import NOW

PLACE = {"namespace": "prod", "workload": "chat", "lease": "chat-1"}
LEASE: dict[str, Any] = {
    "metadata": {"namespace": "prod", "name": "chat-1"},
    "spec": {"workload": "chat"},
    "status": {
        "egress": {
            "policy": "model-hub",
            "level": "Enforced",
            "mode": "Enforce",
            "deniedTotal": 12,
            "denied": [
                {"destination": "pool.example", "count": 3, "mining": "Stratum"},
                {"destination": "hub.example", "count": 9},
            ],
        },
        "sentinel": {"certificateUntil": "2026-11-23T12:00:00Z", "restarts": 2},
        "secrets": [{"name": "hf-token", "version": 4}],
        "busyWhileIdle": {"since": "2026-11-23T12:00:00Z", "times": 3},
    },
}
CLOSED: dict[str, Any] = {
    **LEASE,
    "metadata": {"namespace": "prod", "name": "chat-0"},
    "status": {**LEASE["status"], "closedAt": "2026-11-23T12:00:00Z"},
}
FRESH: dict[str, Any] = {
    "metadata": {"namespace": "prod", "name": "chat-2"},
    "spec": {"workload": "chat"},
}
SECRET: dict[str, Any] = {
    "metadata": {"namespace": "prod", "name": "hf-token"},
    "status": {"version": 4, "live": 2, "revoked": 3},
}
OBJECTS = {"AkashLease": [LEASE, CLOSED, FRESH], "RotatingSecret": [SECRET]}
REPLICA = Replica(namespace="prod", workload="chat", lease="chat-1", provider="p1")


def shown(*collectors: Any) -> dict[str, list[tuple[dict[str, str], float]]]:
    """What a scraper reads: labels and values by the samples' names."""
    registry = CollectorRegistry()
    for each in collectors:
        registry.register(each)
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_open_leases_and_secrets_are_shown_and_closed_ones_are_not() -> None:
    found = shown(TrustCollector(lambda kind: OBJECTS[kind]))
    policy = {**PLACE, "policy": "model-hub"}
    level = {**policy, "level": "Enforced", "mode": "Enforce"}
    secret = {"namespace": "prod", "secret": "hf-token"}
    assert found["garrison_egress_denied_total"] == [(policy, 12)]
    assert found["garrison_egress_mining_denied_total"] == [(policy, 3)]
    assert found["garrison_egress_level"] == [(level, 1)]
    assert found["garrison_certificate_expiry_seconds"] == [(PLACE, NOW.timestamp())]
    assert found["garrison_sealed_starts_total"] == [(PLACE, 3)]
    assert found["garrison_sentinel_restarts_total"] == [(PLACE, 2)]
    assert found["garrison_secret_acknowledged_version"] == [({**PLACE, "secret": "hf-token"}, 4)]
    assert found["garrison_secret_version"] == [(secret, 4)]
    assert found["garrison_secret_live"] == [(secret, 2)]
    assert found["garrison_secret_revoked_total"] == [(secret, 3)]
    assert found["garrison_busy_while_idle_total"] == [
        (PLACE, 3),
        ({**PLACE, "lease": "chat-2"}, 0),
    ]


def test_a_replicas_figures_carry_whose_they_are() -> None:
    samples = (
        Sample(family="gpu_xid", name="gpu_xid", labels=(("gpu", "0"), ("uuid", "G")), value=79),
        Sample(
            family="relay_request_seconds",
            name="relay_request_seconds_bucket",
            labels=(("le", "+Inf"),),
            value=5,
        ),
        Sample(family="relay_accepted_total", name="relay_accepted_total", value=2),
    )
    page = Page(replica=REPLICA, samples=Samples(samples=samples, dropped=7), taken_at=NOW)
    found = shown(ReplicaCollector(lambda: [page]))
    place = {**PLACE, "provider": "p1"}
    assert found["garrison_replica_up"] == [(place, 1)]
    assert found["garrison_replica_dropped_samples"] == [(place, 7)]
    assert found["garrison_replica_gpu_xid"] == [({**place, "gpu": "0", "uuid": "G"}, 79)]
    assert found["garrison_replica_relay_request_seconds_bucket"] == [({**place, "le": "+Inf"}, 5)]
    assert found["garrison_replica_relay_accepted_total"] == [(place, 2)]


def test_no_replica_has_no_series() -> None:
    assert shown(ReplicaCollector(lambda: ())) == {}


def test_no_family_takes_a_label_that_says_whose_it_is() -> None:
    for family in FAMILIES:
        assert not set(family.labels) & {"namespace", "workload", "lease", "provider"}
