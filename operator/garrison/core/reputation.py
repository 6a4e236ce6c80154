"""A provider's record: our own results first, then the market's word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from garrison.api.provider import ProviderStatus, QuarantineStatus, ResultStatus

RESULTS_PER_MODEL = 20
BASE_QUARANTINE = timedelta(minutes=10)
MAX_QUARANTINE = timedelta(hours=24)
FAULT_MEMORY = timedelta(days=7)
"""Faults older than this no longer lengthen a quarantine: that is how it decays."""


def fold(results: Sequence[ResultStatus], new: Iterable[ResultStatus]) -> tuple[ResultStatus, ...]:
    """Return the record with ``new`` results in it: one per lease, 20 per GPU model, newest kept."""
    by_lease = {each.lease: each for each in results}
    for each in new:
        by_lease[each.lease] = each
    kept: list[ResultStatus] = []
    counts: dict[str, int] = {}
    for each in sorted(by_lease.values(), key=lambda each: (each.at, each.lease), reverse=True):
        counts[each.gpu_model] = counts.get(each.gpu_model, 0) + 1
        if counts[each.gpu_model] <= RESULTS_PER_MODEL:
            kept.append(each)
    return tuple(reversed(kept[:100]))


def quarantines(results: Sequence[ResultStatus], now: datetime) -> tuple[QuarantineStatus, ...]:
    """Return the quarantines that hold now, one per GPU model.

    Each is computed from the record, so it survives restarts: it starts at the newest provider
    fault, doubles with every fault in a row, and a served lease after it ends it.
    """
    found = []
    for model in sorted({each.gpu_model for each in results}):
        mine = [each for each in results if each.gpu_model == model]
        faults = _faults_in_a_row(mine, now)
        if not faults:
            continue
        until = faults[-1].at + length(len(faults))
        if until > now:
            found.append(QuarantineStatus(gpu_model=model, until=until, reason=_why(faults)))
    return tuple(found)


def length(faults: int) -> timedelta:
    """Return how long a provider is left alone after that many faults in a row."""
    doubled: timedelta = BASE_QUARANTINE * 2 ** min(faults - 1, 12)
    return min(MAX_QUARANTINE, doubled)


def _faults_in_a_row(results: Sequence[ResultStatus], now: datetime) -> list[ResultStatus]:
    row: list[ResultStatus] = []
    for each in sorted(results, key=lambda each: (each.at, each.lease)):
        match each.outcome:
            case "ProviderFault":
                if now - each.at < FAULT_MEMORY:
                    row.append(each)
            case "Served":
                row.clear()
            case _:
                pass
    return row


def _why(faults: Sequence[ResultStatus]) -> str:
    return f"{faults[-1].reason or 'ProviderFault'}, {len(faults)} in a row"


def quarantined_until(status: ProviderStatus, gpu_model: str, now: datetime) -> datetime | None:
    """Return until when a GPU model of this provider is left alone, None when it is not."""
    return next(
        (
            each.until
            for each in status.quarantine
            if each.gpu_model == gpu_model and each.until > now
        ),
        None,
    )


def score(status: ProviderStatus) -> int:
    """Return 0 to 100: half our own record (served of all that were decided), half 7-day uptime.

    Nothing known counts as the middle, so that a newcomer gets a chance and no advantage.
    """
    decided = [each for each in status.results if each.outcome in {"Served", "ProviderFault"}]
    served = sum(each.outcome == "Served" for each in decided)
    own = (100 * (served + 1)) // (len(decided) + 2)
    uptime = 50 if status.uptime7d is None else status.uptime7d // 10
    return (own + uptime) // 2
