"""Entering phases, and failing: the bookkeeping that every part of a lease's life shares."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from garrison.api.lease import LeaseFailure, LeaseStatus, TimingStatus
from garrison.api.workload import Blame

MAX_TIMINGS = 24


def enter(status: LeaseStatus, phase: str, now: datetime) -> LeaseStatus:
    """Return the status in ``phase``, with the moment it was entered."""
    if status.phase == phase and status.timings:
        return status
    timings = (*status.timings, TimingStatus(phase=phase, at=now))[-MAX_TIMINGS:]
    return replace(status, phase=phase, timings=timings)


def failed(
    status: LeaseStatus, reason: str, message: str, blame: Blame, now: datetime
) -> LeaseStatus:
    """Return the status with a failure, keeping the first one; winding down starts with it."""
    if status.failure is not None:
        return status
    return replace(
        status,
        failure=LeaseFailure(reason=reason, message=message[:1024], blame=blame, at=now),
    )
