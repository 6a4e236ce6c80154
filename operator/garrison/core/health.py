"""Probes from outside, folded into a state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from garrison.ports.probe import ProbeOutcome, ProbeResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What the probes of one replica said so far. ``failures`` in a row."""

    probed_at: datetime | None = None
    healthy_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    outcome: ProbeOutcome | None = None
    message: str = ""
    heard: int = 0
    """probes that reached the server: requests that it and its relay have counted"""

    @property
    def healthy(self) -> bool:
        return self.outcome is ProbeOutcome.HEALTHY


def advance(track: Track, result: ProbeResult, now: datetime) -> Track:
    """Return the track after one more probe."""
    healthy = result.outcome is ProbeOutcome.HEALTHY
    return Track(
        probed_at=now,
        healthy_at=now if healthy else track.healthy_at,
        failures=0 if healthy else track.failures + 1,
        failing_since=None if healthy else track.failing_since or now,
        outcome=result.outcome,
        message=result.message,
        heard=track.heard + (result.outcome is not ProbeOutcome.REFUSED),
    )


def counted_from(track: Track, moment: datetime | None) -> Track:
    """Return the track without a row of failures that began before ``moment``.

    A replica that became Ready by another operator's probes must not fail by what this one saw
    while it was still starting.
    """
    if moment is None or track.failing_since is None or track.failing_since >= moment:
        return track
    return Track(healthy_at=track.healthy_at, heard=track.heard)


def next_probe(track: Track, period_seconds: float, now: datetime) -> float:
    """Return the seconds until the next probe is due; 0 when it is."""
    if track.probed_at is None:
        return 0.0
    return max(0.0, period_seconds - (now - track.probed_at).total_seconds())
