"""A workload's status: what the columns show, and what later passes rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from garrison.api.lease import PHASES, Lease
from garrison.api.meta import LABEL_WORKLOAD
from garrison.api.money import parse_dollars, shown_dollars
from garrison.api.workload import WorkloadStatus
from garrison.core.conditions import conditions
from garrison.core.fleet import is_ready
from garrison.core.situation import Situation, current_of, is_complete, is_leaving, stalled

ON_THE_WAY = PHASES[: PHASES.index("Ready")]
"""The phases of a lease before it serves, in order."""


def summarise(s: Situation) -> WorkloadStatus:
    """Return the whole new status."""
    status = s.workload.status
    serving = [each for each in s.leases if is_ready(each)]
    current = current_of(s)
    return replace(
        status,
        observed_generation=s.workload.meta.generation,
        phase=_phase(s, serving, current),
        ready=f"{len(serving)}/{s.workload.spec.replicas}",
        replicas=sum(not is_leaving(each) for each in s.leases),
        ready_replicas=len(serving),
        selector=f"{LABEL_WORKLOAD}={quote(s.workload.meta.name)}",
        url=s.routing.url if s.routing and s.routing.routed else None,
        image=s.accepted_image,
        price_per_hour=_price(s.leases),
        providers=_providers(serving),
        accepted_revision=s.accepted,
        served_revision=s.accepted if current else status.served_revision,
        sequence=s.fleet.sequence,
        leases=s.fleet.ledger,
        failures=s.fleet.failures,
        failures_since_ready=s.fleet.failures_since_ready,
        adopted=s.fleet.adopted,
        next_attempt_at=s.fleet.next_attempt_at,
        conditions=conditions(s, serving, current),
    )


def is_passing(old: WorkloadStatus, new: WorkloadStatus) -> bool:
    """Return whether the new status only says that an image is read, or how far replicas have come.

    More follows soon, or the wait is worth telling: nothing is decided by it.
    """
    if old == new or _decided(old) != _decided(new):
        return False
    if any(each.reason == "CheckingImage" for each in new.conditions):
        return True
    return _shown(old) == _shown(new) and all(each.phase in ON_THE_WAY for each in new.leases)


def _decided(status: WorkloadStatus) -> WorkloadStatus:
    """What later passes rest on."""
    return WorkloadStatus(
        accepted_revision=status.accepted_revision,
        served_revision=status.served_revision,
        sequence=status.sequence,
        leases=tuple(
            replace(each, phase="Pending", provider=None, region=None) for each in status.leases
        ),
        failures=status.failures,
        failures_since_ready=status.failures_since_ready,
        adopted=status.adopted,
        next_attempt_at=status.next_attempt_at,
        client=status.client,
    )


def _shown(status: WorkloadStatus) -> tuple[object, ...]:
    """What people and tools wait for."""
    conditions = [(each.type, each.status, each.reason) for each in status.conditions]
    counts = (status.ready, status.replicas, status.ready_replicas)
    return status.observed_generation, status.url, status.image, counts, conditions


def _price(leases: Sequence[Lease]) -> str | None:
    prices = [
        parse_dollars(each.status.price_per_hour)
        for each in leases
        if each.status.price_per_hour and each.status.closed_at is None
    ]
    return shown_dollars(sum(prices)) if prices else None


def _providers(serving: Sequence[Lease]) -> str | None:
    names = sorted({each.status.provider for each in serving if each.status.provider})
    return ",".join(names)[:1024] or None


def _phase(s: Situation, serving: Sequence[Lease], current: Sequence[Lease]) -> str:
    if s.workload.meta.deleting:
        return "Closing"
    if stalled(s) is not None:
        return "Serving (spec refused)" if serving and s.problem else "Stalled"
    if is_complete(s, current):
        return "Serving" if s.workload.spec.replicas else "ScaledToZero"
    if serving:
        return "Serving (updating)"
    return _furthest(s.leases)


def _furthest(leases: Sequence[Lease]) -> str:
    alive = [each.status.phase for each in leases if not is_leaving(each)]
    found = (each for each in alive if each in ON_THE_WAY)
    return max(found, key=ON_THE_WAY.index, default="Pending")
