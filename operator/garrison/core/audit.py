"""An EgressPolicy's status: who uses it, how far it is enforced, and what was asked for in vain."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from garrison.api.egress import (
    HOST,
    DeniedStatus,
    EgressPolicy,
    EgressPolicyStatus,
    ReplicaEgress,
    SuggestedAllow,
)
from garrison.api.lease import Lease, LeaseEgress
from garrison.api.workload import Workload

_NAME = re.compile(HOST)
MAX_WORKLOADS, MAX_REPLICAS, MAX_DENIED, MAX_SUGGESTED = 50, 100, 50, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The workloads that refer to a policy, and their open leases."""

    workloads: Sequence[Workload]
    leases: Sequence[Lease]


def policy_status(policy: EgressPolicy, usage: Usage) -> EgressPolicyStatus:
    """Return the whole new status."""
    records = [
        (each, each.status.egress)
        for each in usage.leases
        if each.status.egress is not None and each.status.egress.policy == policy.meta.name
    ]
    denied = merged(each for _, record in records for each in record.denied)
    enforcing = sum(_enforces(record) for _, record in records)
    return replace(
        policy.status,
        observed_generation=policy.meta.generation,
        workloads=tuple(sorted(each.meta.name for each in usage.workloads)[:MAX_WORKLOADS]),
        users=",".join(sorted(each.meta.name for each in usage.workloads))[:1024],
        replicas=tuple(_replica(lease, record) for lease, record in records[:MAX_REPLICAS]),
        enforced=f"{enforcing}/{len(records)}",
        denied_total=sum(record.denied_total for _, record in records),
        denied=denied[:MAX_DENIED],
        suggested_allow=suggested(denied) if policy.spec.mode == "Audit" else (),
        mining_total=sum(each.count for each in denied if each.mining),
    )


def _enforces(record: LeaseEgress) -> bool:
    current = record.in_force == record.version
    return current and record.level == "Enforced" and record.mode == "Enforce"


def _replica(lease: Lease, record: LeaseEgress) -> ReplicaEgress:
    return ReplicaEgress(
        workload=lease.spec.workload,
        lease=lease.meta.name,
        generation=record.in_force_generation,
        level=record.level,
        rung=record.rung,
        denied=record.denied_total,
    )


def merged(denied: Iterable[DeniedStatus]) -> tuple[DeniedStatus, ...]:
    """Return one entry per destination and port: mining pools first, then the most frequent."""
    found: dict[tuple[str, int, str], DeniedStatus] = {}
    for each in denied:
        slot = (each.destination, each.port, each.protocol)
        known = found.get(slot)
        if known is None:
            found[slot] = each
            continue
        newest = max(known, each, key=lambda one: one.last_seen)
        found[slot] = replace(
            newest, count=known.count + each.count, mining=known.mining or each.mining
        )
    return tuple(
        sorted(
            found.values(),
            key=lambda each: (each.mining is None, -each.count, each.destination, each.port),
        )
    )


def suggested(denied: Sequence[DeniedStatus]) -> tuple[SuggestedAllow, ...]:
    """Return rules that would have let through what an Audit saw; never a mining pool.

    A name that no rule could hold, such as one with an underscore, is left out.
    """
    ports: dict[str, set[int]] = {}
    for each in denied:
        if each.mining is None and each.port and each.protocol == "tcp":
            ports.setdefault(each.destination, set()).add(each.port)
    rules = [_rule(destination, ports[destination]) for destination in sorted(ports)]
    return tuple(each for each in rules if each is not None)[:MAX_SUGGESTED]


def _rule(destination: str, ports: set[int]) -> SuggestedAllow | None:
    listed = tuple(sorted(ports)[:32])
    network = _network(destination)
    if network:
        return SuggestedAllow(cidr=network, ports=listed)
    return SuggestedAllow(host=destination, ports=listed) if _NAME.match(destination) else None


def _network(destination: str) -> str:
    try:
        address = ip_address(destination)
    except ValueError:
        return ""
    return f"{address}/{address.max_prefixlen}"
