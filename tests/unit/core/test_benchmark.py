"""Figures against thresholds: meeting one exactly passes, and a message names what was missed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.api.lease import BenchmarkStatus
from garrison.api.workload import Benchmark
from garrison.core.anomaly import Reading
from garrison.core.benchmark import (
    FEW,
    failed_repeat,
    is_due,
    is_in_use,
    judge,
    miss_reason,
    missed,
    remedy,
    tokens_per_second,
    unanswered,
)
from garrison.ports.probe import BenchmarkFigures
from tests.builders import NOW, at


def measured(rate: int = 65_000, first: int = 120) -> BenchmarkFigures:
    return BenchmarkFigures(
        model="m", requests=4, time_to_first_token_ms=first, millitokens_per_second=rate
    )


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        (measured(), ""),
        (measured(rate=64_999), "64.9 tokens/s, wanted at least 65"),
        (measured(first=121), "first token after 121 ms, wanted at most 120"),
        (
            measured(rate=0, first=500),
            "0.0 tokens/s, wanted at least 65; first token after 500 ms, wanted at most 120",
        ),
    ],
)
def test_thresholds(figures: BenchmarkFigures, message: str) -> None:
    spec = Benchmark(
        api="OpenAI", min_tokens_per_second=65, max_time_to_first_token_milliseconds=120
    )
    verdict = judge(figures, spec, NOW)
    assert (verdict.passed, verdict.message) == (not message, message)


def test_without_thresholds_any_answer_passes() -> None:
    assert judge(measured(rate=0, first=600_000), Benchmark(api="OpenAI"), NOW).passed


@given(rate=st.integers(0, 10**12))
def test_a_rate_is_never_shown_higher_than_it_was(rate: int) -> None:
    shown = tokens_per_second(measured(rate=rate))
    whole, tenth = (int(each) for each in shown.split("."))
    assert 0 <= rate - (whole * 1000 + tenth * 100) < 100


@given(rate=st.integers(0, 10**9), first=st.integers(0, 10**6))
def test_recorded_figures_meet_what_they_were_judged_to_meet(rate: int, first: int) -> None:
    spec = Benchmark(
        api="OpenAI", min_tokens_per_second=65, max_time_to_first_token_milliseconds=120
    )
    verdict = judge(measured(rate, first), spec, NOW)
    assert missed(verdict, spec) == verdict.message


def test_recorded_figures_are_held_against_the_thresholds_of_today() -> None:
    last = judge(measured(), Benchmark(api="OpenAI", min_tokens_per_second=65), NOW)
    raised = Benchmark(api="OpenAI", min_tokens_per_second=66)
    assert missed(last, raised) == "65.0 tokens/s, wanted at least 66"


SILENT = unanswered("no token came", NOW)
STRICT = Benchmark(api="OpenAI", min_tokens_per_second=66)
SLOW = judge(measured(), STRICT, NOW)


@pytest.mark.parametrize(
    ("last", "spec", "lack"),
    [
        pytest.param(None, STRICT, "", id="never measured"),
        pytest.param(SLOW, STRICT, "65.0 tokens/s, wanted at least 66", id="missed"),
        pytest.param(
            SLOW,
            Benchmark(api="OpenAI", min_tokens_per_second=65),
            "",
            id="the threshold is lowered",
        ),
        pytest.param(SLOW, Benchmark(), "", id="nothing is measured any more"),
        pytest.param(
            judge(measured(), Benchmark(api="OpenAI"), NOW), STRICT, "", id="raised since it passed"
        ),
        pytest.param(SILENT, Benchmark(api="OpenAI"), "no token came", id="no answer misses any"),
        pytest.param(SILENT, Benchmark(), "", id="nothing is asked any more"),
    ],
)
def test_a_failed_repeat_is_held_against_the_thresholds_of_today(
    last: BenchmarkStatus | None, spec: Benchmark, lack: str
) -> None:
    assert failed_repeat(last, spec) == lack


def test_what_becomes_of_a_replica_that_misses_is_told_by_what_it_missed() -> None:
    passed = judge(measured(), Benchmark(api="OpenAI"), NOW)
    assert "repeatEverySeconds" in remedy(passed)
    assert "lower the threshold" in remedy(SLOW)
    assert "benchmark.model" in remedy(SILENT)
    assert [miss_reason(SLOW), miss_reason(SILENT)] == ["BenchmarkFailed", "BenchmarkNoAnswer"]


def reading(requests: int = 0, in_flight: int = 0, probes: int = 0) -> Reading:
    return Reading(
        at=NOW, cpu_seconds=0, gpu=0, requests=requests, in_flight=in_flight, probes=probes
    )


@pytest.mark.parametrize(
    ("before", "after", "in_use"),
    [
        pytest.param(None, reading(), False, id="nobody asks"),
        pytest.param(None, reading(in_flight=1), True, id="an answer is under way"),
        pytest.param(reading(in_flight=1), reading(), True, id="one was under way just before"),
        pytest.param(reading(), reading(FEW), False, id="a few"),
        pytest.param(reading(), reading(FEW + 1), True, id="more than a few"),
        pytest.param(reading(), reading(9, probes=9), False, id="only our probes"),
        pytest.param(reading(90), reading(), False, id="the counters began anew"),
        pytest.param(reading(90, probes=90), reading(99, 0), False, id="the operator did"),
    ],
)
def test_clients_requests_make_a_replica_busy(
    before: Reading | None, after: Reading, in_use: bool
) -> None:
    assert is_in_use(before, after) is in_use


def test_is_due_at_first_and_then_after_the_period() -> None:
    spec = Benchmark(api="OpenAI", repeat_every_seconds=60)
    last = judge(measured(), spec, NOW)
    assert is_due(None, spec, NOW)
    assert not is_due(last, spec, at(59))
    assert is_due(last, spec, at(60))
    assert not is_due(None, Benchmark(), at(10**6))
