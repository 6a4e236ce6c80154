"""Figures against thresholds."""

from __future__ import annotations

from datetime import datetime

from garrison.api.lease import BenchmarkStatus
from garrison.api.workload import Benchmark
from garrison.ports.probe import BenchmarkFigures


def judge(figures: BenchmarkFigures, spec: Benchmark, now: datetime) -> BenchmarkStatus:
    """Return the figures with the verdict. Meeting a threshold exactly passes."""
    misses = _misses(figures, spec)
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
    return (
        f"{figures.millitokens_per_second // 1000}.{figures.millitokens_per_second % 1000 // 100}"
    )


def _misses(figures: BenchmarkFigures, spec: Benchmark) -> list[str]:
    misses = []
    lowest = spec.min_tokens_per_second
    if lowest is not None and figures.millitokens_per_second < lowest * 1000:
        misses.append(f"{tokens_per_second(figures)} tokens/s, wanted at least {lowest}")
    longest = spec.max_time_to_first_token_milliseconds
    if longest is not None and figures.time_to_first_token_ms > longest:
        misses.append(
            f"first token after {figures.time_to_first_token_ms} ms, wanted at most {longest}"
        )
    return misses


def is_due(last: BenchmarkStatus | None, spec: Benchmark, now: datetime) -> bool:
    """Return whether the benchmark must run (again)."""
    if spec.api == "None":
        return False
    return last is None or (now - last.at).total_seconds() >= spec.repeat_every_seconds
