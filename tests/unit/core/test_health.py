"""Probes folded into a track: failures count in a row, and only since the replica was Ready."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from garrison.core.health import Track, advance, counted_from, next_probe
from garrison.ports.probe import ProbeOutcome, ProbeResult
from tests.builders import NOW, at


def folded(outcomes: list[ProbeOutcome]) -> Track:
    track = Track()
    for second, outcome in enumerate(outcomes):
        track = advance(track, ProbeResult(outcome=outcome, message=outcome.value), at(second))
    return track


@given(st.lists(st.sampled_from(ProbeOutcome), min_size=1))
def test_failures_are_those_since_the_last_healthy_probe(outcomes: list[ProbeOutcome]) -> None:
    track = folded(outcomes)
    row = 0
    for outcome in reversed(outcomes):
        if outcome is ProbeOutcome.HEALTHY:
            break
        row += 1
    assert track.failures == row
    assert track.healthy == (row == 0)
    assert track.failing_since == (None if row == 0 else at(len(outcomes) - row))
    assert track.message == outcomes[-1].value


def test_a_row_that_began_before_the_replica_was_ready_does_not_count() -> None:
    track = folded([ProbeOutcome.REFUSED] * 3)
    assert counted_from(track, at(1)).failures == 0
    assert counted_from(track, NOW) == track
    assert counted_from(track, None) == track


def test_the_next_probe_is_due_after_the_period_and_at_once_at_first() -> None:
    assert next_probe(Track(), 10.0, NOW) == 0.0
    track = folded([ProbeOutcome.HEALTHY])
    assert next_probe(track, 10.0, at(4)) == 6.0
    assert next_probe(track, 10.0, at(400)) == 0.0
