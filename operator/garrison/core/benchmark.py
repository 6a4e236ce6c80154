"""Figures against thresholds, and when to take them anew."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from garrison.api.lease import BenchmarkStatus
from garrison.api.workload import Benchmark
from garrison.core.anomaly import Reading
from garrison.ports.probe import BenchmarkFigures

FEW = 5
"""Requests of clients between two readings beside which a benchmark does no harm."""

NEWER_THRESHOLD = (
    "the threshold is newer than the figures; a replica is measured again benchmark.repeatEverySeconds "
    "after the last time, and replaced if it misses it then"
)


def judge(figures: BenchmarkFigures, spec: Benchmark, now: datetime) -> BenchmarkStatus:
    """Return the figures with the verdict. Meeting a threshold exactly passes."""
    misses = _misses(figures.millitokens_per_second, figures.time_to_first_token_ms, spec)
    return BenchmarkStatus(
        passed=not misses,
        tokens_per_second=tokens_per_second(figures),
        time_to_first_token_milliseconds=figures.time_to_first_token_ms,
        requests=figures.requests,
        model=figures.model[:253],
        message="; ".join(misses),
        at=now,
    )


def tokens_per_second(figures: BenchmarkFigures) -> str:
    """Return the rate with one decimal, rounded down."""
    return _shown(figures.millitokens_per_second)


def _shown(millitokens: int) -> str:
    return f"{millitokens // 1000}.{millitokens % 1000 // 100}"


def missed(last: BenchmarkStatus, spec: Benchmark) -> str:
    """Return what recorded figures miss of the thresholds as they are now, "" when nothing.

    An edit of a threshold applies to what serves, which was measured before it.
    """
    whole, _, tenths = last.tokens_per_second.partition(".")
    rate = int(whole) * 1000 + int(tenths or "0") * 100
    return "; ".join(_misses(rate, last.time_to_first_token_milliseconds, spec))


def slowest(figures: Sequence[BenchmarkStatus]) -> str:
    """Return the figures of the slowest replica, in words."""
    found = min(figures, key=lambda each: float(each.tokens_per_second))
    return (
        f"slowest replica: {found.tokens_per_second} tokens/s, first token after "
        f"{found.time_to_first_token_milliseconds} ms"
    )


def _misses(millitokens_per_second: int, time_to_first_token_ms: int, spec: Benchmark) -> list[str]:
    misses = []
    lowest = spec.min_tokens_per_second
    if lowest is not None and millitokens_per_second < lowest * 1000:
        misses.append(f"{_shown(millitokens_per_second)} tokens/s, wanted at least {lowest}")
    longest = spec.max_time_to_first_token_milliseconds
    if longest is not None and time_to_first_token_ms > longest:
        misses.append(f"first token after {time_to_first_token_ms} ms, wanted at most {longest}")
    return misses


def is_due(last: BenchmarkStatus | None, spec: Benchmark, now: datetime) -> bool:
    """Return whether the benchmark must run (again)."""
    if spec.api == "None":
        return False
    return last is None or (now - last.at).total_seconds() >= spec.repeat_every_seconds


def is_in_use(before: Reading | None, after: Reading) -> bool:
    """Return whether clients use a replica so much that a benchmark would slow them, and they it.

    ``before``: the reading before that one, None where that is not known or the counters began anew.
    """
    if after.in_flight > 0:
        return True
    if before is None or before.requests > after.requests or before.probes > after.probes:
        return False
    others = (after.requests - before.requests) - (after.probes - before.probes)
    return before.in_flight > 0 or others > FEW
