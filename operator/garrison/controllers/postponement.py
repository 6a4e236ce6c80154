"""Statuses that only say what is on its way, put off for a moment: what follows replaces them."""

from __future__ import annotations

from datetime import datetime, timedelta

from garrison.api.meta import Key
from garrison.api.workload import WorkloadStatus
from garrison.core.summary import is_passing

PASSING = timedelta(seconds=0.5)
"""The longest that such a status is put off."""

SHORTEST = 0.01
"""Seconds; more than the queue takes for now, so that no pass follows in the same moment."""


class Postponement:
    """Remembers since when which workload's status has not been written."""

    def __init__(self) -> None:
        self._since: dict[Key, datetime] = {}

    def forget(self, key: Key) -> None:
        """Drop what is remembered about a workload that is gone."""
        self._since.pop(key, None)

    def left(
        self, key: Key, old: WorkloadStatus, new: WorkloadStatus, now: datetime
    ) -> float | None:
        """Return for how many seconds the status need not be written yet, None: it is now."""
        if is_passing(old, new):
            waited = now - self._since.setdefault(key, now)
            if timedelta(0) <= waited < PASSING:
                return max(SHORTEST, (PASSING - waited).total_seconds())
        self._since.pop(key, None)
        return None
