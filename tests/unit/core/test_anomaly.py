"""Busy while idle: told when it begins and when it ends, and never of a replica that is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.api.lease import BusyStatus
from garrison.core.anomaly import (
    MAX_GAP,
    WARM_UP,
    WINDOW,
    Finding,
    Reading,
    Vigil,
    finding,
    reading_of,
    told,
    watched,
)
from garrison.ports.samples import Sample, Samples
from tests.builders import NOW, at

CORES = 4.0
PERIOD = 15
STEPS = int(WINDOW.total_seconds()) // PERIOD
LONG_AGO = NOW - timedelta(days=1)


def reading(second: float, *, cpu: float = 0.0, **fields: Any) -> Reading:
    base = Reading(at=at(second), cpu_seconds=cpu, gpu=0.0, requests=0, in_flight=0, probes=0)
    return replace(base, **fields)


def vigil(readings: list[Reading]) -> Vigil:
    found = None
    for each in readings:
        found = watched(found, each, CORES)
    assert found is not None
    return found


def busy(steps: int = STEPS, *, cores: float = CORES) -> list[Reading]:
    """Readings of a replica that works and is probed at every step."""
    return [
        reading(step * PERIOD, cpu=cores * step * PERIOD, requests=step, probes=step)
        for step in range(steps + 1)
    ]


def verdict(readings: list[Reading]) -> bool | None:
    return finding(vigil(readings), LONG_AGO).busy


def test_work_without_requests_through_the_whole_window_is_found() -> None:
    assert verdict(busy()) is True
    assert verdict(busy(STEPS - 1)) is None


def test_the_finding_says_since_when_and_how_much() -> None:
    found = finding(vigil(busy()), LONG_AGO)
    assert found.since == NOW
    assert found.text == "4.0 cores and the GPU at 0%"


def test_a_busy_gpu_is_enough() -> None:
    assert verdict([replace(each, gpu=0.3) for each in busy(cores=0.0)]) is True


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("requests in the window", {"requests": STEPS + 3}),
        ("a request in flight", {"in_flight": 1}),
        ("the CPU rests", {"cpu_seconds": CORES * PERIOD * (STEPS - 1)}),
    ],
)
def test_a_replica_that_rests_or_is_asked_is_cleared(name: str, last: dict[str, Any]) -> None:
    *before, final = busy()
    assert verdict([*before, replace(final, **last)]) is False, name


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("the CPU's counter began anew", {"cpu_seconds": 1.0}),
        ("the relay's counter began anew", {"requests": 0}),
        ("the operator's own count began anew", {"probes": 0}),
        ("too long unseen", {"at": at(PERIOD * STEPS) + MAX_GAP}),
        ("time stood still", {"at": at(PERIOD * (STEPS - 1))}),
    ],
)
def test_what_was_not_seen_decides_nothing(name: str, last: dict[str, Any]) -> None:
    *before, final = busy()
    assert verdict([*before, replace(final, **last)]) is None, name


def test_one_stray_request_is_not_taken_for_traffic() -> None:
    *before, final = busy()
    assert verdict([*before, replace(final, requests=final.requests + 1)]) is True


def test_nothing_is_found_before_the_warm_up_and_the_window_have_passed() -> None:
    steps = int((WARM_UP + WINDOW).total_seconds()) // PERIOD
    assert finding(vigil(busy(steps - 1)), NOW).busy is None
    assert finding(vigil(busy(steps)), NOW).busy is True
    assert finding(vigil(busy()), None).busy is None


def test_a_page_without_the_figures_gives_no_reading() -> None:
    names = ("workload_cpu_seconds_total", "relay_requests_total", "relay_requests_in_flight")
    samples = tuple(Sample(family=each, name=each, value=2.0) for each in names)
    found = reading_of(Samples(samples=samples), NOW, 1)
    assert found == Reading(at=NOW, cpu_seconds=2, gpu=0, requests=2, in_flight=2, probes=1)
    for left in range(3):
        rest = samples[:left] + samples[left + 1 :]
        assert reading_of(Samples(samples=rest), NOW, 1) is None


BUSY = Finding(busy=True, since=NOW, text="4.0 cores and the GPU at 0%")
CLEAR = Finding(busy=False, since=NOW)
LASTING = BusyStatus(since=NOW, message=BUSY.text)
OVER = replace(LASTING, until=at(60))


@pytest.mark.parametrize(
    ("known", "found", "after"),
    [
        (None, None, None),
        (None, CLEAR, None),
        (None, BUSY, LASTING),
        (LASTING, BUSY, LASTING),
        (LASTING, None, LASTING),
        (LASTING, Finding(busy=None, since=NOW), LASTING),
        (LASTING, CLEAR, OVER),
        (OVER, CLEAR, OVER),
        (OVER, BUSY, replace(LASTING, times=2)),
    ],
)
def test_the_record_changes_at_transitions_only(
    known: BusyStatus | None, found: Finding | None, after: BusyStatus | None
) -> None:
    assert told(known, found, at(60)) == after


@st.composite
def histories(draw: st.DrawFn) -> list[Reading]:
    """Readings in order, the counters mostly rising."""
    found = [reading(0)]
    for _ in range(draw(st.integers(0, 30))):
        last = found[-1]
        passed = draw(st.integers(1, 70))
        found.append(
            Reading(
                at=last.at + timedelta(seconds=passed),
                cpu_seconds=max(0.0, last.cpu_seconds + passed * draw(st.sampled_from((0, 1, 4)))),
                gpu=draw(st.sampled_from((0.0, 0.0, 0.5))),
                requests=max(0, last.requests + draw(st.sampled_from((0, 0, 0, 1, -1)))),
                in_flight=draw(st.sampled_from((0, 0, 0, 0, 1))),
                probes=last.probes + draw(st.integers(0, 1)),
            )
        )
    return found


@given(histories())
def test_nobody_is_accused_who_was_asked_or_rested_within_the_window(
    history: list[Reading],
) -> None:
    found = finding(vigil(history), LONG_AGO)
    if found.busy is not True:
        return
    window = [each for each in history if each.at >= found.since]
    first, last = window[0], window[-1]
    assert last.at - first.at >= WINDOW
    assert not any(each.in_flight for each in window[1:])
    assert (last.requests - first.requests) - (last.probes - first.probes) <= 1
    for before, after in pairwise(window):
        seconds = (after.at - before.at).total_seconds()
        assert seconds <= MAX_GAP.total_seconds()
        assert after.gpu >= 0.2 or (after.cpu_seconds - before.cpu_seconds) / seconds >= 2.0


@given(histories())
def test_the_record_is_written_twice_per_finding_at_most(history: list[Reading]) -> None:
    known: BusyStatus | None = None
    watch: Vigil | None = None
    writes = 0
    for each in history:
        watch = watched(watch, each, CORES)
        after = told(known, finding(watch, LONG_AGO), each.at)
        writes += after != known
        known = after
    assert writes <= 2 * (known.times if known is not None else 0)
