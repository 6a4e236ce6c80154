"""What is relayed of a page of metrics that a hostile workload wrote."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.adapters.sentinel.relayed import (
    MAX_LABELS,
    MAX_LINE,
    MAX_LINES,
    MAX_VALUE,
    relayed_of,
)
from garrison.ports.samples import MAX_RELAYED, PLACE

VLLM = """\
# HELP vllm:num_requests_running Number of requests.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="llama"} 3.0
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.1"} 2.0 1764100000000
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf"} 4.0
vllm:time_to_first_token_seconds_sum{engine="0"} -0.5
process_cpu_seconds_total 7

rpc_duration_seconds{quantile="0.5"} NaN
"""


def test_series_keep_their_names_and_labels() -> None:
    found = relayed_of(VLLM)
    assert found.dropped == 0
    assert [(each.name, dict(each.labels), each.value) for each in found.samples[:-1]] == [
        ("vllm:num_requests_running", {"engine": "0", "model_name": "llama"}, 3),
        ("vllm:time_to_first_token_seconds_bucket", {"engine": "0", "le": "0.1"}, 2),
        ("vllm:time_to_first_token_seconds_bucket", {"engine": "0", "le": "+Inf"}, 4),
        ("vllm:time_to_first_token_seconds_sum", {"engine": "0"}, -0.5),
        ("process_cpu_seconds_total", {}, 7),
    ]
    assert math.isnan(found.samples[-1].value)


@pytest.mark.parametrize("name", PLACE)
def test_a_label_of_ours_is_renamed(name: str) -> None:
    (sample,) = relayed_of(f'up{{{name}="mine"}} 1').samples
    assert sample.labels == ((f"exported_{name}", "mine"),)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("no value", id="no value"),
        pytest.param(f"a {'1' * 400}", id="beyond a float"),
        pytest.param(f"a 1 {'1' * 400}", id="a time beyond a float"),
        pytest.param("<html>", id="no metrics at all"),
        pytest.param('a{b="c" 1', id="never closed"),
        pytest.param(f"{'n' * 129} 1", id="long name"),
        pytest.param(f'a{{{"l" * 65}="x"}} 1', id="long label"),
        pytest.param(f'a{{b="{"v" * (MAX_VALUE + 1)}"}} 1', id="long value"),
        pytest.param('a{b="x\\ny 1"} 1', id="a line in a value"),
        pytest.param('a{b="\x1b[2J"} 1', id="a terminal's escape"),
        pytest.param('a{__name__="garrison_leases"} 1', id="another name by a label"),
        pytest.param('a{exported_lease="x",lease="y"} 1', id="a label that ours is renamed to"),
        pytest.param('{"a.b"} 1', id="a name that needs quotes"),
        pytest.param(
            "a{" + ",".join(f'l{n}="x"' for n in range(MAX_LABELS + 1)) + "} 1", id="many labels"
        ),
        pytest.param(f"a 1{' ' * MAX_LINE}", id="long line"),
    ],
)
def test_what_could_do_harm_is_dropped_and_counted(line: str) -> None:
    found = relayed_of(f"before 1\n{line}\nafter 2\n")
    assert [each.name for each in found.samples] == ["before", "after"]
    assert found.dropped == 1


def test_a_series_stands_once() -> None:
    found = relayed_of('a{x="1",y="2"} 1\na{y="2",x="1"} 9\n')
    assert [each.value for each in found.samples] == [1]
    assert found.dropped == 1


def test_a_page_without_an_end_is_read_up_to_its_bound() -> None:
    found = relayed_of("\n".join(f"a{n} 1" for n in range(2 * MAX_LINES)))
    assert len(found.samples) == MAX_RELAYED
    assert found.dropped == 2 * MAX_LINES - MAX_RELAYED


@given(text=st.text(st.sampled_from('aZ_:0{}=",\\\n#. \x00é1e+'), max_size=200))
def test_nothing_breaks_it(text: str) -> None:
    found = relayed_of(text)
    assert found.dropped >= 0
    assert len({(each.name, each.labels) for each in found.samples}) == len(found.samples)
