"""A running deployment of somebody's own becomes a replica: recorded under a grant, never touched.

Nothing is written to the market: the adoption is the one checked write of the lease's status that names
the deployment. Before it, whatever happens leaves the deployment as it is; after it, the lease is like
any other, but for one thing: until it has been Ready once, only the market's own word ends it. What the
workload says of it (port, health) may be wrong, and must not cost what runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from garrison.api.account import Account, AdoptedStatus, Grant
from garrison.api.lease import (
    DeploymentStatus,
    EndpointStatus,
    HealthStatus,
    Lease,
    LeaseStatus,
)
from garrison.api.money import format_dollars
from garrison.api.workload import Workload
from garrison.core.budget import is_granted
from garrison.core.lifecycle import Observation, Step, entered
from garrison.core.marker import parse_marker
from garrison.core.order import model_count
from garrison.core.ordering import criteria, leased
from garrison.core.phase import enter, failed
from garrison.ports.market import (
    HTTP_PORT,
    DeploymentState,
    LeaseState,
    MarketLease,
    ServiceStatus,
)

OVER = frozenset({"LeaseClosed", "EscrowExhausted"})
"""Failures that only state what the market has ended already."""
REFUSED = "AdoptionRefused"
MAX_RECORDS = 500


def is_wanted(workload: Workload, leases: Iterable[Lease]) -> bool:
    """Return whether the workload's first replica is still to be adopted."""
    return workload.spec.adopt is not None and adopted(workload, leases) is None


def adopted(workload: Workload, leases: Iterable[Lease]) -> str | None:
    """Return the deployment that the workload has adopted, None while there is none."""
    found = (
        each.spec.adopts.deployment
        for each in leases
        if each.spec.adopts is not None and each.status.deployment is not None
    )
    return workload.status.adopted or next(found, None)


def pending(o: Observation) -> Step:
    """Wait for a grant under the account's ceilings, then record the deployment; or refuse it."""
    status = enter(o.status, "Pending", o.now)
    if o.account is None or o.template is None:
        return Step(status=status, requeue=30.0)
    rival = _rival(o, o.account.status.grants)
    if rival is not None:
        return _yielded(o, rival, o.account.status.adopted, status)
    if not is_granted(o.lease.meta.uid, status.attempt, o.account.status.grants, o.now):
        return Step(status=status)
    if o.unlisted:
        return Step(status=status, requeue=o.timing.poll)
    problem = _problem(o)
    if problem is not None:
        return _refused(o, problem)
    return Step(status=_recorded(o), requeue=0.0)


def _refused(o: Observation, why: str) -> Step:
    message = f"deployment {_number(o)} is not adopted, and was not touched: {why}"
    return Step(status=failed(o.status, "AdoptionRefused", message, "Nobody", o.now), requeue=0.0)


def _number(o: Observation) -> str:
    assert o.lease.spec.adopts is not None  # noqa: S101 - the caller checked
    return o.lease.spec.adopts.deployment


def _rival(o: Observation, grants: Sequence[Grant]) -> Grant | None:
    uid, number = o.lease.meta.uid, _number(o)
    return next((each for each in grants if each.adopts == number and each.lease != uid), None)


def _yielded(
    o: Observation, rival: Grant, known: Sequence[AdoptedStatus], status: LeaseStatus
) -> Step:
    """Refuse what another lease has adopted; wait while that one has only asked for it."""
    name = f"{rival.namespace}/{rival.name}"
    if any(each.deployment == _number(o) and each.lease == name for each in known):
        return _refused(o, f"AkashLease {name} has adopted it")
    return Step(status=status)


def _problem(o: Observation) -> str | None:
    found = o.deployment
    if o.account is not None and o.account.spec.adoption != "Allow":
        return denied(o.account)
    if found is None:
        return "the account has no such deployment; check the number and spec.accountRef"
    if found.state is DeploymentState.CLOSED:
        return "it is closed; remove spec.adopt to order a new one"
    if parse_marker(found.marker) is not None:
        return f"it is managed by Garrison already (its group is {found.marker})"
    leases = paying(found.leases)
    if len(leases) != 1:
        return f"it has {len(leases)} open leases, and a replica is exactly one"
    return _too_dear(o, leases[0])


def denied(account: Account) -> str:
    """Return why an account's deployments are not adopted, and what an administrator does about it."""
    name = account.meta.name
    return (
        f"AkashAccount {name!r} has spec.adoption: Deny, because who adopts may close; allow it with: "
        f'kubectl patch aa {name} --type merge --patch \'{{"spec":{{"adoption":"Allow"}}}}\''
    )


def paying(leases: Iterable[MarketLease]) -> tuple[MarketLease, ...]:
    """Return the leases that run."""
    return tuple(
        each for each in leases if each.state in {LeaseState.ACTIVE, LeaseState.RECLAIMING}
    )


def _too_dear(o: Observation, lease: MarketLease) -> str | None:
    ceiling = criteria(o).max_price_per_hour
    if lease.price_per_hour <= ceiling:
        return None
    return (
        f"it costs {format_dollars(lease.price_per_hour)} $/h and the ceiling is "
        f"{format_dollars(ceiling)} $/h; raise spec.budget.maxPricePerHour, or what limits it on "
        f"AkashAccount {o.lease.spec.account!r}"
    )


def _recorded(o: Observation) -> LeaseStatus:
    assert o.deployment is not None  # noqa: S101 - _problem() asked for it
    record = DeploymentStatus(
        id=o.deployment.id, marker=o.deployment.marker[:128], ordered_at=o.now
    )
    (lease,) = paying(o.deployment.leases)
    status = replace(leased(o, lease), deployment=record)
    gpu = o.template.resources.gpu if o.template is not None else None
    return status if model_count(gpu) == 1 else replace(status, gpu_model=None)


def is_held(lease: Lease) -> bool:
    """Return whether a lease has adopted a deployment that is not given up: it may serve people."""
    status = lease.status
    taken = lease.spec.adopts is not None and status.deployment is not None
    return taken and status.failure is None and status.closed_at is None and not lease.meta.deleting


def holds(lease: Lease) -> str | None:
    """Return the deployment that a lease has adopted and still answers for, None when there is none."""
    if lease.spec.adopts is None or lease.status.deployment is None:
        return None
    return lease.status.deployment.id if lease.status.closed_at is None else None


def awaits(lease: Lease) -> str | None:
    """Return the deployment that a lease may adopt yet, None when there is none."""
    status = lease.status
    is_over = status.failure is not None or status.closed_at is not None or lease.meta.deleting
    if lease.spec.adopts is None or status.deployment is not None or is_over:
        return None
    return lease.spec.adopts.deployment


def records(
    known: Sequence[AdoptedStatus], leases: Sequence[Lease], now: datetime
) -> tuple[AdoptedStatus, ...]:
    """Return what leases have adopted: one whose end was verified goes, one without a lease stays.

    So a deployment is known for ours when somebody has removed its lease by force.
    """
    ended = {
        each.status.deployment.id
        for each in leases
        if each.status.deployment is not None and each.status.closed_at is not None
    }
    held = {number: each.meta for each in leases if (number := holds(each)) is not None}
    kept = [each for each in known if each.deployment in held or each.deployment not in ended]
    named = {each.deployment for each in kept}
    new = [
        AdoptedStatus(deployment=number, lease=f"{meta.namespace}/{meta.name}", at=now)
        for number, meta in held.items()
        if number not in named
    ]
    return (*kept, *new)[-MAX_RECORDS:]


def without_ended(
    known: Sequence[AdoptedStatus],
    leases: Iterable[Lease],
    open_now: frozenset[str],
    *,
    began: datetime,
    horizon: timedelta,
) -> tuple[AdoptedStatus, ...]:
    """Return the records without those that no lease holds and that the market lists no longer.

    The list was begun at ``began``, and counts once it cannot be older than the record: ``horizon``.
    """
    held = {holds(each) for each in leases}
    return tuple(
        each for each in known if each.deployment in held | open_now or began - each.at < horizon
    )


def is_settling(o: Observation) -> bool:
    """Return whether an adopted deployment has not served as a replica yet."""
    return o.lease.spec.adopts is not None and entered(o.status, "Ready") is None


def spared(o: Observation, taken: Step) -> Step:
    """Return the step, without the failure of one that was adopted and was never Ready."""
    failure = taken.status.failure
    if failure is None or failure.reason in OVER or not is_settling(o):
        return taken
    message = f"{failure.reason}: {failure.message}"[:1024]
    known = o.status.health
    if known is not None and known.message.partition(":")[0] == failure.reason:
        return Step(status=o.status, requeue=o.timing.watch)
    health = HealthStatus(state="Unhealthy", message=message, since=o.now)
    return Step(status=replace(o.status, health=health), requeue=o.timing.watch)


def reached(o: Observation) -> EndpointStatus | None:
    """Return where an adopted container is reached: its forwarded port, else the provider's proxy."""
    adopts, template, service = o.lease.spec.adopts, o.template, o.service
    if adopts is None or template is None or service is None:
        return None
    return endpoint_of(service, template.port, adopts.external_port)


def endpoint_of(
    service: ServiceStatus, port: int, external_port: int | None
) -> EndpointStatus | None:
    """Return where a container's port is reached, None while the provider does not say.

    ``external_port`` is the SDL's ``as``: what is exposed as 80 is reached through the proxy, though
    the same port may be forwarded beside.
    """
    forwarded = () if (external_port or port) == HTTP_PORT else service.ports
    for each in forwarded:
        if each.port == port:
            return EndpointStatus(host=each.host, port=each.external_port)
    if not service.hosts:
        return None
    host, port = service.hosts[0]
    return EndpointStatus(host=host, port=port, ingress=True)
