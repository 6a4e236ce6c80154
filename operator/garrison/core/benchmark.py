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

SERVES_ON = "it serves until a successor that passes its own benchmark is Ready"
NEWER_THRESHOLD = (
    "the threshold is newer than the figures; a replica is measured again benchmark.repeatEverySeconds "
    f"after the last time; if it misses it then, {SERVES_ON}"
)
LOWER_IT = f"{SERVES_ON}; lower the threshold if nothing can meet it"
ASK_ANOTHER = f"{SERVES_ON}; look at benchmark.model, or set benchmark.api: None"


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


def unanswered(message: str, now: datetime) -> BenchmarkStatus:
    """Return the verdict on a replica that answered none of the requests: there are no figures."""
    return BenchmarkStatus(
        passed=False,
        tokens_per_second=_shown(0),
        time_to_first_token_milliseconds=0,
        requests=0,
        message=message[:1024],
        at=now,
    )


def tokens_per_second(figures: BenchmarkFigures) -> str:
    """Return the rate with one decimal, rounded down."""
    return _shown(figures.millitokens_per_second)


def _shown(millitokens: int) -> str:
    return f"{millitokens // 1000}.{millitokens % 1000 // 100}"


def missed(last: BenchmarkStatus, spec: Benchmark) -> str:
    """Return what recorded figures miss of the thresholds as they are now, "" when nothing.

    An edit of a threshold applies to what serves, which was measured before it. No answer misses any.
    """
    if spec.api == "None":
        return ""
    if not last.requests:
        return last.message
    whole, _, tenths = last.tokens_per_second.partition(".")
    rate = int(whole) * 1000 + int(tenths or "0") * 100
    return "; ".join(_misses(rate, last.time_to_first_token_milliseconds, spec))


def failed_repeat(last: BenchmarkStatus | None, spec: Benchmark) -> str:
    """Return what the newest benchmark was failed for and still misses, "" when it holds.

    A threshold that was raised since fails nobody before the next repeat; one that was lowered
    acquits at once.
    """
    return missed(last, spec) if last is not None and not last.passed else ""


def remedy(last: BenchmarkStatus) -> str:
    """Return what becomes of a replica whose figures miss a threshold, and what to do about it."""
    if last.passed:
        return NEWER_THRESHOLD
    return LOWER_IT if last.requests else ASK_ANOTHER


def miss_reason(last: BenchmarkStatus) -> str:
    """Return the reason by which a benchmark that did not pass is told."""
    return "BenchmarkFailed" if last.requests else "BenchmarkNoAnswer"


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
