"""One workload's leases: the ledger in its status, and what a pass does about it.

The ledger is the intent: a lease's name is in ``status.leases`` before the AkashLease object is
created, and stays there until the object is gone for good. Names are never used twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from garrison.api.lease import Lease
from garrison.api.workload import FailureStatus, ReplicaStatus, Workload, WorkloadStatus
from garrison.core import adoption, blame
from garrison.core.revision import lease_name
from garrison.core.rollout import Rollout, View, first, rollout

TERMINAL = frozenset({"Closed", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What a pass decides about the leases of a workload."""

    ledger: tuple[ReplicaStatus, ...]
    sequence: int
    create: tuple[ReplicaStatus, ...] = ()
    """entries whose object must be created now: their names are persisted already"""
    delete: tuple[tuple[str, str], ...] = ()
    """(name, uid) of objects to delete"""
    failures: tuple[FailureStatus, ...] = ()
    failures_since_ready: int = 0
    next_attempt_at: datetime | None = None
    adopted: str | None = None
    """the deployment that became the first replica"""
    requeue: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """What is known of the leases. ``gone``: names whose absence a fresh read has confirmed."""

    leases: Mapping[str, Lease]
    gone: frozenset[str] = field(default_factory=frozenset)


def fleet(workload: Workload, known: FleetView, *, target: str | None, now: datetime) -> Fleet:
    """Return the next ledger and moves.

    ``target`` is the accepted revision; None: none was ever accepted, so nothing is wanted.
    """
    status = workload.status
    failures = _failures(workload, known)
    since = _count(status, failures, ready=_is_complete(workload, known, target))
    next_at = _next_attempt(status, failures, since, now)
    wanted = workload.spec.replicas if target is not None and not workload.meta.deleting else 0
    adopting = wanted > 0 and adoption.is_wanted(workload, known.leases.values())
    may_create = (
        target is not None
        and (next_at is None or now >= next_at)
        and not blame.is_exhausted(failures, target)
    )
    seen = views(status.leases, known)
    if adopting:
        moves = first(seen, may_create=may_create)
    else:
        fallback = _fallback(status, failures, target)
        moves = rollout(
            seen, replicas=wanted, target=target or "", fallback=fallback, may_create=may_create
        )
    kept = _kept(status.leases, known, moves, wanted)
    ledger, sequence = _extended(workload, kept, moves, target, adopting=adopting)
    return Fleet(
        ledger=tuple(refreshed(each, known.leases.get(each.name)) for each in ledger),
        sequence=sequence,
        create=_uncreated(kept, known, moves, wanted),
        delete=_deletions(kept, known, moves, workload),
        failures=failures,
        failures_since_ready=since,
        next_attempt_at=next_at,
        adopted=adoption.adopted(workload, known.leases.values()),
        requeue=max(0.05, (next_at - now).total_seconds()) if next_at and next_at > now else None,
    )


def _fallback(
    status: WorkloadStatus, failures: Sequence[FailureStatus], target: str | None
) -> str | None:
    """The revision that served last, while the target is the one to blame."""
    served = status.served_revision
    if target is None or served is None or served == target:
        return None
    return served if blame.is_blamed(failures, target) else None


def is_ready(lease: Lease) -> bool:
    """Return whether a lease serves."""
    return (
        lease.status.phase == "Ready" and lease.status.failure is None and not lease.meta.deleting
    )


def _is_complete(workload: Workload, known: FleetView, target: str | None) -> bool:
    """Whether every wanted replica of the target serves: only then are earlier failures over."""
    ready = sum(
        each.spec.revision == target
        and each.status.phase == "Ready"
        and each.status.failure is None
        for each in known.leases.values()
    )
    return ready >= max(1, workload.spec.replicas)


def _failures(workload: Workload, known: FleetView) -> tuple[FailureStatus, ...]:
    new = [_failure(lease) for lease in known.leases.values() if _ended_badly(lease)]
    recorded = blame.record(workload.status.failures, new)
    serving = [
        (lease.spec.revision, lease.status.provider)
        for lease in known.leases.values()
        if is_ready(lease) and lease.status.provider
    ]
    return blame.attribute(recorded, serving)


def _ended_badly(lease: Lease) -> bool:
    return lease.status.failure is not None


def _failure(lease: Lease) -> FailureStatus:
    failure = lease.status.failure
    assert failure is not None  # noqa: S101 - the caller checked
    return FailureStatus(
        lease=lease.meta.uid,
        revision=lease.spec.revision,
        provider=lease.status.provider,
        gpu_model=lease.status.gpu_model,
        reason=failure.reason,
        message=failure.message,
        blame=failure.blame,
        at=failure.at,
    )


def _count(status: WorkloadStatus, failures: Sequence[FailureStatus], *, ready: bool) -> int:
    """Failures since the target was last complete that were not simply a provider's fault."""
    if ready:
        return 0
    known = {each.lease for each in status.failures}
    new = sum(each.lease not in known and each.blame != "Provider" for each in failures)
    return status.failures_since_ready + new


def _next_attempt(
    status: WorkloadStatus, failures: Sequence[FailureStatus], since: int, now: datetime
) -> datetime | None:
    if since == 0:
        return None
    if since == status.failures_since_ready:
        return status.next_attempt_at
    newest = max((each.at for each in failures), default=now)
    return newest + timedelta(seconds=blame.pause_seconds(since))


def _kept(
    ledger: Sequence[ReplicaStatus], known: FleetView, moves: Rollout, wanted: int
) -> tuple[ReplicaStatus, ...]:
    """The ledger without leases that are gone for good, and without those never to be created."""
    retired = set(moves.retire)

    def is_over(each: ReplicaStatus) -> bool:
        if each.name in known.leases or each.name not in known.gone:
            return False
        return each.uid is not None or wanted == 0 or each.name in retired

    return tuple(each for each in ledger if not is_over(each))


def views(ledger: Sequence[ReplicaStatus], known: FleetView) -> tuple[View, ...]:
    """Return the ledger as the rollout counts it; an entry without an object counts as open."""
    listed = [_view(each, known.leases.get(each.name), order) for order, each in enumerate(ledger)]
    names = {each.name for each in ledger}
    strays = [
        _view(None, lease, 0) for name, lease in sorted(known.leases.items()) if name not in names
    ]
    return tuple(listed + strays)


def _view(entry: ReplicaStatus | None, lease: Lease | None, order: int) -> View:
    if lease is None:
        assert entry is not None  # noqa: S101 - one of the two exists
        return View(
            name=entry.name,
            revision=entry.revision,
            ready=False,
            leaving=entry.uid is not None,
            open=True,
            order=order,
        )
    status = lease.status
    done = status.closed_at is not None
    return View(
        name=lease.meta.name,
        revision=lease.spec.revision,
        ready=is_ready(lease) or adoption.is_held(lease),
        leaving=entry is None or lease.meta.deleting or status.failure is not None or done,
        open=not done,
        reclaimed=status.reclaim_deadline is not None,
        order=order,
    )


def _extended(
    workload: Workload,
    kept: tuple[ReplicaStatus, ...],
    moves: Rollout,
    target: str | None,
    *,
    adopting: bool,
) -> tuple[tuple[ReplicaStatus, ...], int]:
    if target is None:
        return kept, workload.status.sequence
    served = workload.status.served_revision or target
    revisions = [served] * moves.create_fallback + [target] * moves.create
    sequence = workload.status.sequence
    added = [
        ReplicaStatus(
            name=lease_name(workload.meta.name, workload.meta.uid, sequence + 1 + index),
            revision=revision,
            adopts=workload.spec.adopt.deployment if adopting and workload.spec.adopt else None,
        )
        for index, revision in enumerate(revisions)
    ]
    return (*kept, *added), sequence + len(added)


def refreshed(entry: ReplicaStatus, lease: Lease | None) -> ReplicaStatus:
    """Return a ledger entry with what its object says."""
    if lease is None:
        return entry
    status = lease.status
    return replace(
        entry,
        uid=lease.meta.uid,
        phase=status.phase,
        provider=status.provider,
        region=status.region,
    )


def _uncreated(
    kept: Sequence[ReplicaStatus], known: FleetView, moves: Rollout, wanted: int
) -> tuple[ReplicaStatus, ...]:
    """Persisted names that are wanted and have no object yet."""
    retired = set(moves.retire)
    return tuple(
        each
        for each in kept
        if wanted
        and each.uid is None
        and each.name not in known.leases
        and each.name not in retired
    )


def _deletions(
    kept: Sequence[ReplicaStatus], known: FleetView, moves: Rollout, workload: Workload
) -> tuple[tuple[str, str], ...]:
    names = {each.name for each in kept}
    retire = set(moves.retire)
    recorded = {each.lease for each in workload.status.failures}
    found = []
    for name, lease in sorted(known.leases.items()):
        if lease.meta.deleting:
            continue
        finished = lease.status.phase in TERMINAL and (
            lease.status.failure is None or lease.meta.uid in recorded
        )
        if name in retire or name not in names or finished or workload.meta.deleting:
            found.append((name, lease.meta.uid))
    return tuple(found)
