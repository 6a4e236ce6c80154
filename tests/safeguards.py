"""Safeguards that a test takes away, to show that their absence is noticed."""

from __future__ import annotations

import pytest

from garrison.core import ordering
from garrison.core.lifecycle import CreateDeployment, Observation, Step


def without_intent(patch: pytest.MonkeyPatch) -> None:
    """The create goes out from a granted lease with nothing recorded before it."""
    waits = ordering.pending

    def pending(o: Observation) -> Step:
        found = waits(o)
        if found.status.intent is None:
            return found
        action = CreateDeployment(token=o.token, order=ordering.order(o), deployment=o.proposed_id)
        return Step(status=o.status, action=action, requeue=o.timing.lookup)

    patch.setattr(ordering, "pending", pending)
