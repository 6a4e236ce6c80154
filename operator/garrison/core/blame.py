"""Who is to blame for a replica that ended badly. Decided before anybody is quarantined.

Provider faults (unreachable, lease closed, price changed) are blamed on the provider at once.
A workload fault (the process exits, is unhealthy, misses a threshold) proves nothing alone: the same
revision failing at two independent providers is the revision's fault; the same revision serving at
another provider makes it the first provider's fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from garrison.api.workload import FailureStatus

MAX_FAILURES = 20
EXCLUSION = timedelta(minutes=30)
FREE_RETRIES = 1
PAUSE_BASE = 30.0
PAUSE_CAP = 1800.0
MAX_ATTEMPTS = 6
"""Orders spent on a revision that is to blame, before a person must change something."""


def record(
    failures: Sequence[FailureStatus], new: Iterable[FailureStatus]
) -> tuple[FailureStatus, ...]:
    """Return the failures with ``new`` ones added, one per lease, the newest 20."""
    known = {each.lease for each in failures}
    added = [each for each in new if each.lease not in known]
    return tuple(sorted((*failures, *added), key=lambda each: each.at)[-MAX_FAILURES:])


def attribute(
    failures: Sequence[FailureStatus], serving: Iterable[tuple[str, str]]
) -> tuple[FailureStatus, ...]:
    """Return the failures with blame assigned as far as the evidence goes.

    ``serving`` are the (revision, provider) pairs of replicas that are Ready now.
    """
    good: dict[str, set[str]] = {}
    for revision, provider in serving:
        good.setdefault(revision, set()).add(provider)
    return tuple(
        _decided(each, failures, good.get(each.revision, set()))
        if each.blame in {"Undecided", "Revision"}
        else each
        for each in failures
    )


def _decided(
    failure: FailureStatus, failures: Sequence[FailureStatus], good: set[str]
) -> FailureStatus:
    if failure.provider in good:
        return replace(failure, blame="Nobody")
    if good:
        return replace(failure, blame="Provider")
    if len(faulty_providers(failures, failure.revision)) >= 2:
        return replace(failure, blame="Revision")
    return failure


def faulty_providers(failures: Sequence[FailureStatus], revision: str) -> tuple[str, ...]:
    """Return the providers at which the revision showed a workload fault, sorted."""
    return tuple(
        sorted(
            {
                each.provider
                for each in failures
                if each.revision == revision
                and each.provider
                and each.blame in {"Undecided", "Revision"}
            }
        )
    )


def is_blamed(failures: Sequence[FailureStatus], revision: str) -> bool:
    """Return whether the revision itself is to blame."""
    return any(each.revision == revision and each.blame == "Revision" for each in failures)


def excluded(failures: Sequence[FailureStatus], now: datetime) -> tuple[str, ...]:
    """Return the providers that this workload leaves alone for half an hour after a failure."""
    return tuple(
        sorted({each.provider for each in failures if each.provider and now - each.at < EXCLUSION})
    )


def pause_seconds(failures_since_ready: int) -> float:
    """Return the pause before the next replacement: none at first, then doubling to 30 minutes."""
    over = failures_since_ready - FREE_RETRIES
    return 0.0 if over <= 0 else min(PAUSE_CAP, PAUSE_BASE * 2.0 ** (over - 1))


def is_exhausted(failures: Sequence[FailureStatus], revision: str) -> bool:
    """Return whether a blamed revision has used up its attempts."""
    mine = [each for each in failures if each.revision == revision and each.blame == "Revision"]
    return len(mine) >= MAX_ATTEMPTS
