"""A lease that goes: drained, closed, verified, and only then let go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from garrison.api.lease import (
    LeaseFailure,
    LeaseStatus,
)
from garrison.core.lifecycle import (
    CloseDeployment,
    Observation,
    RemoveFinalizer,
)
from garrison.core.replica import finished, step
from garrison.ports.market import (
    DeploymentState,
)
from tests.builders import (
    HORIZON,
    NOW,
    account,
    at,
    deployment,
    market_lease,
)
from tests.unit.core.replicas import (
    HEALTHY,
    RECORD,
    create_intent,
    granted,
    leased,
    see,
    serving,
)


def deleted(phase: str, **fields: Any) -> Observation:
    status = {**leased(phase), **fields.pop("status", {})}
    return see(phase, status={**status, "deleting": True}, **fields)


def test_a_deleted_replica_drains_closes_is_verified_and_then_goes() -> None:
    o = deleted("Ready", drain_seconds=30, deployment=deployment(market_lease()))
    draining = step(o).status
    assert (draining.phase, draining.drain_until) == ("Draining", at(30))
    o = _next(o, draining)
    assert step(o).status.phase == "Draining"
    o = replace(o, now=at(30))
    closing = step(o)
    assert (closing.action, closing.status.phase) == (None, "Closing")
    o = _next(o, closing.status)
    assert step(o).action == CloseDeployment(deployment="100")
    assert step(o).status.closed_at is None
    o = replace(o, deployment=deployment(state=DeploymentState.CLOSED))
    closed = step(o).status
    assert (closed.phase, closed.closed_at) == ("Closed", at(30))
    o = _next(o, closed)
    assert step(o).action is None
    assert step(replace(o, recorded=True)).action == RemoveFinalizer()
    assert step(replace(o, now=at(60))).action == RemoveFinalizer()


def _next(o: Observation, status: LeaseStatus) -> Observation:
    return replace(o, lease=replace(o.lease, status=status))


def test_deleting_waits_for_a_create_that_may_still_appear() -> None:
    o = deleted("Ordering", status={"deployment": None, "intent": create_intent()})
    assert step(o).status.intent is not None
    assert step(replace(o, deployment=deployment())).status.deployment == RECORD
    over = step(replace(o, now=NOW + HORIZON * 1.5)).status
    assert (over.intent, over.closed_at) == (None, None)


def test_a_create_that_was_never_started_need_not_be_waited_for() -> None:
    o = deleted(
        "Ordering", status={"deployment": None, "intent": create_intent()}, holds_token=True
    )
    assert step(o).status.intent is None


def test_an_unknown_deployment_counts_as_closed_only_after_the_horizon() -> None:
    o = deleted("Closing", deployment=None)
    assert step(o).status.closed_at is None
    assert step(replace(o, now=NOW + HORIZON * 1.5)).status.closed_at is not None


def test_a_failed_lease_closes_at_once_and_stays_for_the_record() -> None:
    failure = LeaseFailure(reason="Unhealthy", blame="Undecided", at=NOW)
    o = serving("Ready", status={"failure": failure}, drain_seconds=30)
    closing = step(o).status
    assert closing.phase == "Closing"
    after = step(_next(replace(o, deployment=deployment(state=DeploymentState.CLOSED)), closing))
    assert (after.status.phase, after.status.closed_at) == ("Failed", NOW)
    assert step(_next(o, after.status)).action is None


def test_orphaned_leases_go_only_once_the_account_lists_them_as_released() -> None:
    o = deleted("Ready", deployment=deployment(market_lease()))
    o = replace(o, orphaned=True)
    leaving = step(o)
    assert (leaving.action, leaving.status.close_reason) == (None, "Released")
    assert leaving.status.closed_at is None
    listed = replace(granted(), released=("100",))
    done = step(_next(replace(o, account=account(listed)), leaving.status)).status
    assert (done.close_reason, done.closed_at) == ("Released", NOW)


def test_a_status_repeats_itself_at_rest() -> None:
    o = serving("Ready", track=HEALTHY)
    once = finished(o, step(o).status)
    again = finished(_next(replace(o, now=at(5)), once), step(_next(o, once)).status)
    assert again == once
