"""The end of a lease: drain, close, verify, and only then let go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from garrison.api.lease import AttemptStatus, Lease, LeaseFailure, LeaseStatus
from garrison.api.money import shown_dollars
from garrison.core.lifecycle import (
    CloseDeployment,
    Observation,
    RemoveFinalizer,
    Step,
    age,
    horizon_passed,
    unresolved_create,
    until,
    without_intent,
)
from garrison.core.order import model_count
from garrison.core.phase import enter
from garrison.ports.market import DeploymentState

REMEDY = "; raise the price ceiling, add GPU models, or loosen the policy"

RELEASED = "Released"
"""The close reason of a lease that goes on running, and being paid, without Garrison."""


def is_winding(o: Observation) -> bool:
    """Return whether this lease is on its way out (or this order of it is)."""
    return is_leaving(o.lease)


def is_leaving(lease: Lease) -> bool:
    """Return the same of a lease that nothing else is known of."""
    status = lease.status
    return (
        lease.meta.deleting
        or status.failure is not None
        or status.phase in {"Draining", "Closing", "Closed", "Failed"}
    )


def wind(o: Observation) -> Step:
    """Return the next step of the end: drain first, then close, then verify."""
    status = o.status
    if status.closed_at is not None:
        return _forget(o)
    if status.close_reason == RELEASED:
        return _release(o)
    if o.orphaned and _is_held(status):
        return Step(status=replace(status, close_reason=RELEASED), requeue=o.timing.poll)
    draining = _drain(o)
    return draining if draining is not None else _close(o)


def _is_held(status: LeaseStatus) -> bool:
    """Whether there is a working lease to leave behind; anything less is closed."""
    return (
        status.deployment is not None
        and status.provider is not None
        and status.failure is None
        and status.phase != "Closing"
    )


def _release(o: Observation) -> Step:
    """Let go without closing, once the account lists the deployment: the sweep leaves it alone."""
    deployment = o.status.deployment
    listed = o.account.status.released if o.account is not None else ()
    if deployment is None or deployment.id not in listed:
        return Step(status=o.status, requeue=o.timing.poll)
    return Step(status=replace(enter(o.status, "Closed", o.now), closed_at=o.now))


def _forget(o: Observation) -> Step:
    if not o.lease.meta.deleting:
        return Step(status=o.status)
    waited = age(o.status.closed_at, o.now)
    if o.status.provider and not o.recorded and waited < o.timing.record_wait:
        return Step(status=o.status, requeue=o.timing.record_wait - waited)
    if o.unrevoked:
        return Step(status=o.status, requeue=o.timing.poll)
    return Step(status=o.status, action=RemoveFinalizer())


def _drain(o: Observation) -> Step | None:
    status = o.status
    if status.failure is not None or status.phase not in {"Ready", "Draining"}:
        return None
    if status.phase == "Ready":
        if o.drain_seconds == 0:
            return None
        moment = o.now + timedelta(seconds=o.drain_seconds)
        return Step(
            status=replace(enter(status, "Draining", o.now), drain_until=moment),
            requeue=float(o.drain_seconds),
        )
    if status.drain_until is not None and o.now < status.drain_until:
        return Step(status=status, requeue=until(status.drain_until, o.now))
    return None


def _close(o: Observation) -> Step:
    status = o.status
    if unresolved_create(status) is not None:
        return _resolve(o)
    if status.deployment is None:
        return Step(status=closed(o))
    if o.deployment is None:
        return _unknown(o)
    if o.deployment.state is DeploymentState.CLOSED:
        return Step(status=closed(o), requeue=0.0)
    if status.phase != "Closing":
        return Step(status=without_intent(enter(status, "Closing", o.now)), requeue=0.0)
    return Step(
        status=status,
        action=CloseDeployment(deployment=status.deployment.id),
        requeue=o.timing.lookup,
    )


def _resolve(o: Observation) -> Step:
    """A create may be under way: find it, or wait until it can no longer appear."""
    from garrison.core.ordering import adopted  # noqa: PLC0415 - ordering ends in winding, too

    intent = unresolved_create(o.status)
    assert intent is not None  # noqa: S101 - the caller checked
    if o.deployment is not None:
        return Step(status=adopted(o, o.deployment), requeue=0.0)
    if o.holds_token or horizon_passed(intent, o.traits, o.now):
        return Step(status=without_intent(o.status), requeue=0.0)
    return Step(status=o.status, requeue=o.timing.lookup)


def _unknown(o: Observation) -> Step:
    """The market does not know the deployment: true only when it has had time to know it."""
    assert o.status.deployment is not None  # noqa: S101 - the caller checked
    if o.now - o.status.deployment.ordered_at >= o.traits.outcome_horizon:
        return Step(status=closed(o), requeue=0.0)
    return Step(status=o.status, requeue=o.timing.lookup)


def closed(o: Observation) -> LeaseStatus:
    """Return the status once nothing is paid any more: the end, or the next GPU model's turn."""
    status = replace(without_intent(o.status), endpoint=None, spent=_spent(o))
    if o.lease.meta.deleting or status.failure is not None:
        phase = "Failed" if status.failure is not None else "Closed"
        reason = status.failure.reason if status.failure is not None else "Deleted"
        return replace(enter(status, phase, o.now), closed_at=o.now, close_reason=reason)
    return _next_attempt(o, status)


def _spent(o: Observation) -> str | None:
    spent = o.deployment.spent if o.deployment is not None else None
    return shown_dollars(spent) if spent is not None else o.status.spent


def _next_attempt(o: Observation, status: LeaseStatus) -> LeaseStatus:
    models = model_count(o.template.resources.gpu) if o.template else 1
    index = status.model_index + 1
    if index < models:
        return replace(
            enter(status, "Pending", o.now),
            attempt=status.attempt + 1,
            model_index=index,
            deployment=None,
            escrow=None,
            spent=None,
        )
    failure = LeaseFailure(reason="NoBids", message=chain(status.earlier), blame="Nobody", at=o.now)
    return replace(
        enter(status, "Failed", o.now), failure=failure, closed_at=o.now, close_reason="NoBids"
    )


def chain(earlier: tuple[AttemptStatus, ...]) -> str:
    """Return the whole chain of reasons: why each alternative led to nothing."""
    parts = [f"{each.gpu_model or 'no GPU'}: {each.message}" for each in earlier]
    reasons = "; ".join(parts) or "no acceptable bid"
    return f"{reasons[: 1024 - len(REMEDY)]}{REMEDY}"
