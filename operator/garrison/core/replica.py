"""One pass over one AkashLease: the dispatch by phase, and the fold of the action's outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from garrison.api.lease import LeaseStatus
from garrison.api.meta import FINALIZER, Condition, ConditionStatus, set_condition
from garrison.core import admission, adoption, ordering, serving, treasury, winding
from garrison.core.lifecycle import (
    AcceptBid,
    CreateDeployment,
    DepositEscrow,
    Enrol,
    EnsureFinalizer,
    Observation,
    RemoveFinalizer,
    SendManifest,
    SetEgress,
    Step,
    age,
)
from garrison.core.phase import failed
from garrison.errors import RejectedError


def step(o: Observation) -> Step:
    """Return the next step of a lease's life."""
    if FINALIZER not in o.lease.meta.finalizers:
        return _unheld(o)
    if winding.is_winding(o):
        return winding.wind(o)
    match o.status.phase:
        case "Pending":
            return _pending(o)
        case "Ordering":
            return ordering.ordering(o)
        case "Bidding":
            return ordering.bidding(o)
        case "Leasing":
            return ordering.leasing(o)
        case "Deploying":
            return treasury.kept(o, adoption.spared(o, serving.deploying(o)))
        case "Enrolling":
            return treasury.kept(o, serving.enrolling(o))
        case "Verifying":
            return treasury.kept(o, adoption.spared(o, serving.verifying(o)))
        case "Benchmarking":
            return treasury.kept(o, adoption.spared(o, serving.benchmarking(o)))
        case "Ready":
            return treasury.kept(o, serving.ready(o))
        case unknown:
            message = f"phase {unknown!r} is not known to this version; upgrade the operator"
            return Step(status=failed(o.status, "UnknownPhase", message, "Nobody", o.now))


def _pending(o: Observation) -> Step:
    return ordering.pending(o) if o.lease.spec.adopts is None else adoption.pending(o)


def _unheld(o: Observation) -> Step:
    """Nothing is paid for without the finalizer, and nothing is done for what is going away."""
    if o.lease.meta.deleting:
        return Step(status=o.status)
    return Step(status=o.status, action=EnsureFinalizer(), requeue=0.0)


def settle(o: Observation, taken: Step, value: object, error: Exception | None) -> Step:
    """Return the step with the outcome of its action folded in."""
    match taken.action:
        case CreateDeployment():
            return ordering.created(o, taken.status, error, value)
        case AcceptBid():
            return ordering.accepted(o, taken.status, error)
        case DepositEscrow():
            return treasury.deposited(o, taken.status, error)
        case SendManifest() if isinstance(error, RejectedError):
            message = f"{o.status.provider} refused the manifest: {error}"
            refused = failed(taken.status, "ManifestRefused", message, "Undecided", o.now)
            return Step(status=refused, requeue=0.0)
        case Enrol() if error is None:
            return replace(taken, status=admission.enrolled(o, taken.status, value))
        case SetEgress() if error is None:
            return replace(taken, status=admission.guarded(taken.status, value))
        case RemoveFinalizer() | EnsureFinalizer():
            return taken
        case _:
            return taken


def finished(o: Observation, status: LeaseStatus) -> LeaseStatus:
    """Return the status with its ``Ready`` condition, so that ``kubectl wait`` works on leases.

    It is the same object when nothing is new.
    """
    state, reason, message = _readiness(o, status)
    new = Condition(
        type="Ready",
        status=state,
        reason=reason,
        message=message[:1024],
        observed_generation=o.lease.meta.generation,
        last_transition_time=_whole(o.now),
    )
    conditions, generation = set_condition(status.conditions, new), o.lease.meta.generation
    if conditions is status.conditions and generation == status.observed_generation:
        return status
    return replace(status, observed_generation=generation, conditions=conditions)


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _readiness(o: Observation, status: LeaseStatus) -> tuple[ConditionStatus, str, str]:
    if status.failure is not None:
        return "False", status.failure.reason, f"{status.failure.message[:700]}{_held(o)}"
    if status.phase == "Ready":
        return "True", "Serving", _serving(o, status)
    return "False", status.phase, f"{_waiting(o, status)}{_held(o)}"


def _held(o: Observation) -> str:
    """Why the object of a lease that is over has not gone for so long, "" when nothing holds it."""
    if not o.unrevoked or age(o.status.closed_at, o.now) < o.timing.revoke_patience:
        return ""
    names = ", ".join(o.unrevoked[:5])
    return (
        f"; nothing is paid any more, but it held credentials of RotatingSecret {names} that are not "
        f"revoked yet: see kubectl describe rsec -n {o.lease.meta.namespace}"
    )


def _serving(o: Observation, status: LeaseStatus) -> str:
    if not o.verified:
        return f"{_adopted(o)}healthy; reached in the clear: unencrypted, unauthenticated"
    guard = status.egress
    level = f"{guard.level} ({guard.rung})" if guard is not None else "Unknown"
    return f"healthy; reached by mutual TLS that ends in the container; egress {level}"


def _adopted(o: Observation) -> str:
    adopts = o.lease.spec.adopts
    return f"adopted deployment {adopts.deployment}, unverified; " if adopts is not None else ""


def _waiting(o: Observation, status: LeaseStatus) -> str:
    if adoption.is_settling(o) and status.health is not None:
        return f"adopted, and not given up for {status.health.message}"
    match status.phase:
        case "Pending" if o.account is None:
            return f"AkashAccount {o.lease.spec.account!r} does not exist; create it"
        case "Pending" if o.template is None:
            return f"ControllerRevision {o.lease.spec.revision!r} does not exist"
        case "Pending":
            return "waiting for a slot under the account's limits; see kubectl describe aa"
        case "Ordering":
            return "posting the order"
        case "Bidding":
            return "waiting for bids"
        case "Leasing":
            return "accepting the chosen bid"
        case "Deploying":
            return f"waiting for {status.provider} to start the container"
        case "Enrolling":
            return f"waiting for the sentinel at {status.provider} ({o.sentinel_error or 'no answer yet'})"
        case "Verifying":
            return f"waiting for {o.health.path} to answer"
        case "Benchmarking":
            return "measuring tokens per second and time to first token"
        case _:
            return status.phase
