"""Who is to blame for a replica that ended badly. Decided before anybody is quarantined.

Provider faults (unreachable, lease closed, price changed) are blamed on the provider at once.
A workload fault (the process exits, is unhealthy, misses a threshold) proves nothing alone: the same
revision failing at two independent providers is the revision's fault; the same revision serving at
another provider makes it the first provider's fault. What serves and misses a threshold itself proves
nothing about others that miss it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from garrison.api.workload import FailureStatus

MEASURED = frozenset({"BenchmarkFailed", "BenchmarkNoAnswer"})
"""Reasons of failures by a benchmark."""
OPEN = frozenset({"Undecided", "Revision"})
"""Blame that more evidence may change."""
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
    failures: Sequence[FailureStatus],
    serving: Iterable[tuple[str, str]],
    passing: Iterable[tuple[str, str]],
) -> tuple[FailureStatus, ...]:
    """Return the failures with blame assigned as far as the evidence goes.

    ``serving`` are the (revision, provider) pairs of replicas that are Ready now, ``passing`` those of
    them whose figures meet the thresholds as they are now.
    """
    healthy, fast = _by_revision(serving), _by_revision(passing)
    known = [
        _proven(each, (fast if each.reason in MEASURED else healthy).get(each.revision, set()))
        for each in failures
    ]
    return tuple(_suspected(each, known) for each in known)


def _by_revision(pairs: Iterable[tuple[str, str]]) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for revision, provider in pairs:
        found.setdefault(revision, set()).add(provider)
    return found


def _proven(failure: FailureStatus, good: set[str]) -> FailureStatus:
    """With whose fault it was, where the revision does better at the providers ``good``."""
    if failure.blame not in OPEN or not good:
        return failure
    return replace(failure, blame="Nobody" if failure.provider in good else "Provider")


def _suspected(failure: FailureStatus, failures: Sequence[FailureStatus]) -> FailureStatus:
    """With the revision to blame, where nothing speaks for it and two providers speak against it."""
    alone = len(faulty_providers(failures, failure.revision)) < 2
    return failure if failure.blame not in OPEN or alone else replace(failure, blame="Revision")


def faulty_providers(failures: Sequence[FailureStatus], revision: str) -> tuple[str, ...]:
    """Return the providers at which the revision showed a workload fault, sorted."""
    return tuple(
        sorted(
            {
                each.provider
                for each in failures
                if each.revision == revision and each.provider and each.blame in OPEN
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
