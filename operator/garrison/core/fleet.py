"""One workload's leases: the ledger in its status, and what a pass does about it.

The ledger is the intent: a lease's name is in ``status.leases`` before the AkashLease object is
created, and stays there until the object is gone for good. Names are never used twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from garrison.api.lease import Lease, LeaseFailure
from garrison.api.workload import (
    Benchmark,
    FailureStatus,
    ReplicaStatus,
    Workload,
    WorkloadStatus,
)
from garrison.core import adoption, blame
from garrison.core.benchmark import SERVES_ON, failed_repeat, miss_reason, missed
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
    excluded: tuple[str, ...] = ()
    """providers that the next replica is not ordered from"""
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
    seen = views(status.leases, known, workload.spec.benchmark)
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
        delete=_deletions(kept, known, moves, workload, failures),
        failures=failures,
        excluded=excluded(failures, known.leases.values(), workload.spec.benchmark, now),
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


def shortfall(lease: Lease, spec: Benchmark) -> str:
    """Return what a replica that serves failed its repeated benchmark for, "" when it holds."""
    return failed_repeat(lease.status.benchmark, spec) if is_ready(lease) else ""


def excluded(
    failures: Sequence[FailureStatus], leases: Iterable[Lease], spec: Benchmark, now: datetime
) -> tuple[str, ...]:
    """Return the providers that a workload orders nothing from, sorted.

    One that failed it is left alone for a while, one whose replica waits for a successor until then.
    """
    short = {each.status.provider for each in leases if shortfall(each, spec)}
    return tuple(sorted({*blame.excluded(failures, now), *(each for each in short if each)}))


def _is_complete(workload: Workload, known: FleetView, target: str | None) -> bool:
    """Whether every wanted replica of the target serves as asked: then earlier failures are over."""
    ready = sum(
        each.spec.revision == target
        and each.status.phase == "Ready"
        and each.status.failure is None
        and not shortfall(each, workload.spec.benchmark)
        for each in known.leases.values()
    )
    return ready >= max(1, workload.spec.replicas)


def _failures(workload: Workload, known: FleetView) -> tuple[FailureStatus, ...]:
    """One per lease, also of one that serves on; a repeat that passes again takes it back."""
    spec = workload.spec.benchmark
    new = [found for lease in known.leases.values() if (found := _failure(lease, spec))]
    serving = [each for each in known.leases.values() if is_ready(each) and each.status.provider]
    back = {each.meta.uid for each in serving} - {each.lease for each in new}
    standing = [each for each in workload.status.failures if each.lease not in back]
    return blame.attribute(
        blame.record(standing, new),
        _places(serving),
        _places(each for each in serving if _passes(each, spec)),
    )


def _places(serving: Iterable[Lease]) -> list[tuple[str, str]]:
    return [(each.spec.revision, each.status.provider or "") for each in serving]


def _passes(lease: Lease, spec: Benchmark) -> bool:
    """Whether a replica that serves has figures that meet the thresholds as they are now."""
    figures = lease.status.benchmark
    return spec.api == "None" or (figures is not None and not missed(figures, spec))


def _failure(lease: Lease, spec: Benchmark) -> FailureStatus | None:
    """What a lease failed for, also one that serves on though its benchmark failed."""
    failure = lease.status.failure or _failed_repeat(lease, spec)
    if failure is None:
        return None
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


def _failed_repeat(lease: Lease, spec: Benchmark) -> LeaseFailure | None:
    lack, figures = shortfall(lease, spec), lease.status.benchmark
    if not lack or figures is None:
        return None
    message = f"{lack[:800]} at {lease.status.provider}; {SERVES_ON}"
    return LeaseFailure(
        reason=miss_reason(figures), message=message, blame="Undecided", at=figures.at
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


def views(ledger: Sequence[ReplicaStatus], known: FleetView, spec: Benchmark) -> tuple[View, ...]:
    """Return the ledger as the rollout counts it; an entry without an object counts as open."""
    listed = [
        _view(each, known.leases.get(each.name), order, spec) for order, each in enumerate(ledger)
    ]
    names = {each.name for each in ledger}
    strays = [
        _view(None, lease, 0, spec)
        for name, lease in sorted(known.leases.items())
        if name not in names
    ]
    return tuple(listed + strays)


def _view(entry: ReplicaStatus | None, lease: Lease | None, order: int, spec: Benchmark) -> View:
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
        outgoing=status.reclaim_deadline is not None or bool(shortfall(lease, spec)),
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
    kept: Sequence[ReplicaStatus],
    known: FleetView,
    moves: Rollout,
    workload: Workload,
    failures: Iterable[FailureStatus],
) -> tuple[tuple[str, str], ...]:
    names = {each.name for each in kept}
    recorded = {each.lease for each in workload.status.failures}
    unwritten = {each.lease for each in failures} - recorded
    retire = {name for name in moves.retire if _may_go(known.leases.get(name), unwritten)}
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


def _may_go(lease: Lease | None, unwritten: Collection[str]) -> bool:
    """Whether a lease may be retired: what it failed for while it serves is written down first.

    Once it is being deleted nothing tells of that any more.
    """
    return lease is not None and not (is_ready(lease) and lease.meta.uid in unwritten)
