"""From leases and verdicts to a provider's status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from garrison.api.lease import Lease
from garrison.api.provider import (
    AttributeStatus,
    GpuStatus,
    Outcome,
    Provider,
    ProviderStatus,
    QuarantineStatus,
    ResultStatus,
)
from garrison.api.workload import Blame, FailureStatus
from garrison.core.reputation import fold, quarantines, score
from garrison.ports.market import ProviderFact

MAX_QUARANTINES = 32


def results(leases: Iterable[Lease], failures: Iterable[FailureStatus]) -> tuple[ResultStatus, ...]:
    """Return how leases that ended went; a workload's verdict outranks what the lease alone knew.

    There is also one on a lease that serves on though a repeated benchmark failed.
    """
    verdicts = {each.lease: each for each in failures}
    found = [_result(each, verdicts.get(each.meta.uid)) for each in leases]
    known = {each.meta.uid for each in leases}
    late = [_verdict(each) for each in failures if each.lease not in known]
    return tuple(each for each in (*found, *late) if each is not None)


def _result(lease: Lease, verdict: FailureStatus | None) -> ResultStatus | None:
    status = lease.status
    if status.failure is not None:
        blame = verdict.blame if verdict is not None else status.failure.blame
        return _made(lease, _outcome(blame), status.failure.reason, status.failure.at)
    if verdict is not None:
        return _made(lease, _outcome(verdict.blame), verdict.reason, verdict.at)
    if status.closed_at is None:
        return None
    served = any(each.phase == "Ready" for each in status.timings)
    return _made(
        lease, "Served" if served else "Nothing", status.close_reason or "", status.closed_at
    )


def is_recorded(lease: Lease, record: Sequence[ResultStatus]) -> bool:
    """Return whether a provider's record holds how a lease went.

    What it held of one that then passed its benchmark again is not yet how that one ended.
    """
    figures, closed = lease.status.benchmark, lease.status.closed_at
    recovered = lease.status.failure is None and figures is not None and figures.passed
    return any(
        each.lease == lease.meta.uid and not (recovered and closed and each.at < closed)
        for each in record
    )


def _made(lease: Lease, outcome: Outcome, reason: str, at: datetime) -> ResultStatus:
    status, figures = lease.status, lease.status.benchmark
    return ResultStatus(
        lease=lease.meta.uid,
        gpu_model=status.gpu_model or "none",
        outcome=outcome,
        reason=reason,
        tokens_per_second=figures.tokens_per_second if figures and figures.requests else None,
        at=at,
    )


def _verdict(failure: FailureStatus) -> ResultStatus:
    return ResultStatus(
        lease=failure.lease,
        gpu_model=failure.gpu_model or "none",
        outcome=_outcome(failure.blame),
        reason=failure.reason,
        at=failure.at,
    )


def _outcome(blame: Blame) -> Outcome:
    match blame:
        case "Provider":
            return "ProviderFault"
        case "Revision":
            return "RevisionFault"
        case "Undecided":
            return "Undecided"
        case "Nobody":
            return "Nothing"


def provider_status(
    provider: Provider,
    fact: ProviderFact | None,
    *,
    listed: bool,
    new: Sequence[ResultStatus],
    open_leases: int,
    now: datetime,
) -> ProviderStatus:
    """Return the whole new status. ``listed`` False: no market was read yet, keep what is known."""
    base = _facts(provider.status, fact, listed=listed)
    kept = {each.lease: each for each in base.results}
    record = fold(base.results, (_merged(kept.get(each.lease), each) for each in new))
    held = _longest(quarantines(record, now))
    status = replace(
        base,
        results=record,
        quarantine=held,
        quarantined=_shown(held),
        open_leases=open_leases,
    )
    return replace(status, score=score(status))


def _longest(held: tuple[QuarantineStatus, ...]) -> tuple[QuarantineStatus, ...]:
    """As many as the status has room for, those that last longest."""
    kept = sorted(held, key=lambda each: each.until)[-MAX_QUARANTINES:]
    return tuple(sorted(kept, key=lambda each: each.gpu_model))


def _merged(old: ResultStatus | None, new: ResultStatus) -> ResultStatus:
    """A late verdict keeps the figures that the lease had reported."""
    if old is None or new.tokens_per_second is not None:
        return new
    return replace(new, tokens_per_second=old.tokens_per_second)


def _facts(status: ProviderStatus, fact: ProviderFact | None, *, listed: bool) -> ProviderStatus:
    if fact is None:
        return replace(status, online=False) if listed else status
    return replace(
        status,
        host=fact.host_uri[:253],
        region=fact.region[:128] or None,
        online=fact.online,
        gpus=tuple(
            GpuStatus(
                vendor=each.vendor[:63],
                model=each.model[:63],
                memory=each.memory[:16] if each.memory else None,
                interface=each.interface[:16] if each.interface else None,
            )
            for each in fact.gpus[:32]
        ),
        gpu_summary=",".join(sorted({each.model for each in fact.gpus}))[:256],
        attributes=tuple(
            AttributeStatus(
                key=each.key[:128],
                value=each.value[:256],
                audited_by=tuple(auditor[:253] for auditor in each.audited_by[:8]),
            )
            for each in fact.attributes[:128]
        ),
        uptime1d=fact.uptime_1d,
        uptime7d=fact.uptime_7d,
        uptime30d=fact.uptime_30d,
        uptime="" if fact.uptime_7d is None else f"{fact.uptime_7d / 10:.1f}%",
    )


def _shown(held: tuple[QuarantineStatus, ...]) -> str:
    return ",".join(each.gpu_model for each in held)[:64]
