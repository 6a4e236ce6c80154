"""What is taken of a page of metrics that a hostile machine wrote."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.adapters.sentinel.page import MAX_LINES, MAX_VALUE, samples_of
from garrison.ports.samples import FAMILIES, MAX_DESTINATIONS, Sample
from sentinel.agent.metrics import Page as SentPage
from sentinel.relay.counters import BUCKETS
from sentinel.relay.counters import Histogram as SentHistogram

LIMITS = {each.name: each.limit for each in FAMILIES}
HISTOGRAM = """\
garrison_sentinel_relay_first_byte_seconds_bucket{le="0.1"} 2
garrison_sentinel_relay_first_byte_seconds_bucket{le="+Inf"} 3
garrison_sentinel_relay_first_byte_seconds_sum 1.5
garrison_sentinel_relay_first_byte_seconds_count 3
"""


def named(line: str) -> str:
    return f"garrison_sentinel_{line}"


def only(line: str) -> Sample:
    """The one sample of a line."""
    found = samples_of(named(line))
    assert found.dropped == 0
    (sample,) = found.samples
    return sample


@pytest.mark.parametrize(
    ("line", "name", "labels", "value"),
    [
        ("workload_cpu_seconds_total 12.5", "workload_cpu_seconds_total", (), 12.5),
        (
            'relay_bytes_total{direction="out"} 7',
            "relay_bytes_total",
            (("direction", "out"),),
            7.0,
        ),
        (
            'gpu_power_milliwatts{gpu="0",uuid="GPU-1"} 250000',
            "gpu_power_watts",
            (("gpu", "0"), ("uuid", "GPU-1")),
            250.0,
        ),
        (
            'gpu_sm_megahertz{uuid="",gpu="1"} 1980',
            "gpu_sm_clock_hertz",
            (("gpu", "1"), ("uuid", "")),
            1.98e9,
        ),
        (
            'egress_connections{destination="203.0.113.7",port="443"} 2',
            "egress_connections",
            (("destination", "203.0.113.7"), ("port", "443")),
            2.0,
        ),
    ],
)
def test_a_figure_is_taken_in_the_unit_that_its_name_states(
    line: str, name: str, labels: tuple[tuple[str, str], ...], value: float
) -> None:
    sample = only(line)
    assert (sample.name, sample.labels) == (name, labels)
    assert sample.value == pytest.approx(value)


@pytest.mark.parametrize(
    "line",
    [
        "workload_memory_bytes NaN",
        "workload_memory_bytes +Inf",
        "workload_memory_bytes -1",
        f"workload_memory_bytes {MAX_VALUE * 10}",
        pytest.param(f"workload_memory_bytes {'1' * 400}", id="beyond a float"),
        pytest.param(f"workload_memory_bytes 1 {'1' * 400}", id="a time beyond a float"),
        "workload_memory_bytes",
        "workload_memory_bytes{",
        'workload_memory_bytes{lease="another"} 1',
        'relay_bytes_total{direction="sideways"} 1',
        "relay_bytes_total 1",
        'gpu_xid{gpu="0"} 1',
        'egress_connections{destination="a\\nb",port="1"} 1',
        f'egress_connections{{destination="{"a" * 2000}",port="1"}} 1',
        "made_up 1",
        "\x00\ufffd{}",
    ],
)
def test_what_is_not_in_the_list_or_makes_no_sense_is_dropped_and_counted(line: str) -> None:
    found = samples_of(f"{named(line)}\n{named('workload_processes 3')}\n")
    assert [each.name for each in found.samples] == ["workload_processes"]
    assert found.dropped == 1


def test_names_without_the_sentinels_prefix_are_dropped() -> None:
    assert samples_of("workload_processes 3\nup 1\n").dropped == 2


def test_a_series_is_taken_once_and_a_family_to_its_limit() -> None:
    lines = [
        named(f'egress_connections{{destination="h{at}",port="443"}} 1')
        for at in range(MAX_DESTINATIONS + 10)
    ]
    found = samples_of("\n".join([*lines, lines[0]]))
    assert len(found.samples) == MAX_DESTINATIONS
    assert found.dropped == 11


def test_lines_past_the_limit_are_not_read() -> None:
    text = "junk 1\n" * MAX_LINES + named("workload_processes 3")
    assert samples_of(text).samples == ()
    assert samples_of(text).dropped == MAX_LINES + 1


def test_a_whole_histogram_is_taken() -> None:
    assert len(samples_of(HISTOGRAM).samples) == 4


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("_count 3", "_count 4"),
        ('le="+Inf"} 3', 'le="+Inf"} 1'),
        ('le="+Inf"', 'le="7"'),
        ("_sum 1.5", "_sum nan"),
    ],
)
def test_a_histogram_that_does_not_fit_together_is_dropped_whole(before: str, after: str) -> None:
    assert before in HISTOGRAM
    found = samples_of(HISTOGRAM.replace(before, after))
    assert found.samples == ()
    assert found.dropped == 4


def test_everything_that_the_sentinel_says_about_its_relay_is_taken() -> None:
    page = SentPage()
    page.histogram("relay_request_seconds", SentHistogram([1] * (len(BUCKETS) + 1), 3.25))
    page.add("relay_requests_total", "counter", ((), 14))
    found = samples_of(page.text().decode())
    assert found.dropped == 0
    assert found.value("relay_request_seconds_count") == len(BUCKETS) + 1
    assert found.value("relay_requests_total") == 14


NAMES = st.sampled_from([each.sent_as for each in FAMILIES] + ["relay_request_seconds_bucket", "x"])
VALUES = st.one_of(st.floats(), st.integers(), st.text(max_size=5)).map(str)
LINES = st.one_of(
    st.text(max_size=60),
    st.builds("garrison_sentinel_{} {}".format, NAMES, VALUES),
    st.builds(
        'garrison_sentinel_{}{{gpu="{}",uuid="{}"}} {}'.format,
        NAMES,
        st.integers(0, 99),
        st.text(max_size=9),
        VALUES,
    ),
)


@given(st.lists(LINES, max_size=40).map("\n".join))
def test_any_page_gives_bounded_and_finite_figures(text: str) -> None:
    found = samples_of(text)
    shown = [each for each in text.split("\n") if each.strip() and not each.startswith("#")]
    assert len(found.samples) + found.dropped == len(shown)
    series = [(each.name, each.labels) for each in found.samples]
    assert len(series) == len(set(series))
    for each in found.samples:
        assert math.isfinite(each.value)
        assert each.value >= 0
        assert each.family in LIMITS
