"""What a workload's status is computed from, and what stands in its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from garrison.api.lease import Lease
from garrison.api.workload import Workload
from garrison.core import blame
from garrison.core.fleet import Fleet, is_ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why the spec as it stands cannot be served; ``message`` says what to change."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What became of the Service and its EndpointSlices."""

    routed: bool
    reason: str
    message: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything a workload's status is computed from."""

    workload: Workload
    now: datetime
    fleet: Fleet
    leases: Sequence[Lease]
    accepted: str | None
    accepted_image: str | None
    is_accepted: bool
    """whether the spec's own template is the accepted revision"""
    problem: Problem | None
    waiting: Problem | None
    """something that passes by itself: an image being checked, ceilings, a pause"""
    blocked: Problem | None
    """something that keeps new replicas away until a person acts; it ends nothing that serves"""
    routing: Routing | None


def current_of(s: Situation) -> list[Lease]:
    """Return the Ready replicas of the accepted revision."""
    return [each for each in s.leases if is_ready(each) and each.spec.revision == s.accepted]


def is_leaving(lease: Lease) -> bool:
    """Return whether a replica is on its way out."""
    return (
        lease.meta.deleting
        or lease.status.failure is not None
        or lease.status.closed_at is not None
    )


def is_complete(s: Situation, current: Sequence[Lease]) -> bool:
    """Return whether what the spec wants serves, and nothing else is left."""
    others = [
        each
        for each in s.leases
        if each.status.closed_at is None
        and each.spec.revision != s.accepted
        and not each.meta.deleting
    ]
    return s.is_accepted and len(current) >= s.workload.spec.replicas and not others


def stalled(s: Situation) -> Problem | None:
    """Return why Garrison cannot go on by itself, None while it can."""
    if s.problem is not None:
        return s.problem
    if s.accepted is None or s.workload.spec.replicas == 0:
        return None
    if blame.is_blamed(s.fleet.failures, s.accepted):
        return _blamed(s, s.accepted)
    return None if s.blocked is None or is_complete(s, current_of(s)) else s.blocked


def _blamed(s: Situation, revision: str) -> Problem:
    mine = [each for each in s.fleet.failures if each.revision == revision]
    places = ", ".join(blame.faulty_providers(s.fleet.failures, revision)) or "the market"
    newest = mine[-1]
    spent = blame.is_exhausted(s.fleet.failures, revision)
    after = (
        "no further attempt until the container fields change"
        if spent
        else "trying again with growing pauses"
    )
    return Problem(
        reason="RevisionFailed",
        message=f"revision {revision} failed at {places} ({newest.reason}: {newest.message}); the workload "
        f"is to blame, not the providers: fix image, command, args or thresholds; {after}"[:1024],
    )
