"""The ring of output: bounded, whole lines, readers that come late."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.agent.logs import Logs
from tests.sentinel.agent.agent_process import until


def _through(data: list[bytes]) -> list[str]:
    logs = Logs()
    read, write = os.pipe()
    logs.follow({read: "stdout"})
    for each in data:
        os.write(write, each)
    os.write(write, b"\nend\n")
    os.close(write)
    until(lambda: any(line.line == "end" for line in logs.tail(1)))
    return [line.line for line in logs.tail(10_000)][:-1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
def test_lines_are_put_together(data: list[bytes]) -> None:
    whole = b"".join(data).split(b"\n")
    assert _through(data) == [line.rstrip(b"\r").decode("utf-8", "replace") for line in whole]


def test_a_line_without_end_is_cut() -> None:
    lines = _through([b"x" * 40_000])
    assert [len(line) for line in lines] == [16_384, 16_384, 40_000 - 2 * 16_384]


def test_the_oldest_are_forgotten() -> None:
    logs = Logs(limit=1000)
    for number in range(100):
        logs.add("stdout", f"line {number}")
    kept = logs.tail(100)
    assert kept[-1].line == "line 99"
    assert sum(len(line.line) + 100 for line in kept) <= 1000
    assert logs.read(0, 0)[0] == kept[0]
    assert logs.read(100, 0.01) == []
