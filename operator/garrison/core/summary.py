"""A workload's status: conditions after kstatus, and what the columns show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from garrison.api.lease import PHASES, IntegrityStatus, Lease
from garrison.api.meta import LABEL_WORKLOAD, Condition, ConditionStatus, keep_time
from garrison.api.money import parse_dollars, shown_dollars
from garrison.api.workload import Workload, WorkloadStatus
from garrison.core import blame
from garrison.core.benchmark import missed, remedy, slowest
from garrison.core.fleet import Fleet, is_ready

IN_THE_CLEAR = "replicas are reached in the clear: unencrypted, unauthenticated"
BY_MTLS = "replicas are reached by mutual TLS that ends inside the container"
ON_THE_WAY = PHASES[: PHASES.index("Ready")]
"""The phases of a lease before it serves, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why the spec as it stands cannot be served; ``message`` says what to change."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What became of the Service and its EndpointSlices."""

    routed: bool
    reason: str
    message: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything a workload's status is computed from."""

    workload: Workload
    now: datetime
    fleet: Fleet
    leases: Sequence[Lease]
    accepted: str | None
    accepted_image: str | None
    is_accepted: bool
    """whether the spec's own template is the accepted revision"""
    problem: Problem | None
    waiting: Problem | None
    """something that passes by itself: an image being checked, ceilings, a pause"""
    blocked: Problem | None
    """something that keeps new replicas away until a person acts; it ends nothing that serves"""
    routing: Routing | None


def summarise(s: Situation) -> WorkloadStatus:
    """Return the whole new status."""
    status = s.workload.status
    serving = [each for each in s.leases if is_ready(each)]
    current = _current(s)
    return replace(
        status,
        observed_generation=s.workload.meta.generation,
        phase=_phase(s, serving, current),
        ready=f"{len(serving)}/{s.workload.spec.replicas}",
        replicas=sum(not _is_leaving(each) for each in s.leases),
        ready_replicas=len(serving),
        selector=f"{LABEL_WORKLOAD}={quote(s.workload.meta.name)}",
        url=s.routing.url if s.routing and s.routing.routed else None,
        image=s.accepted_image,
        price_per_hour=_price(s.leases),
        providers=_providers(serving),
        accepted_revision=s.accepted,
        served_revision=s.accepted if current else status.served_revision,
        sequence=s.fleet.sequence,
        leases=s.fleet.ledger,
        failures=s.fleet.failures,
        failures_since_ready=s.fleet.failures_since_ready,
        adopted=s.fleet.adopted,
        next_attempt_at=s.fleet.next_attempt_at,
        conditions=_conditions(s, serving, current),
    )


def is_passing(old: WorkloadStatus, new: WorkloadStatus) -> bool:
    """Return whether the new status only says that an image is read, or how far replicas have come.

    More follows soon, or the wait is worth telling: nothing is decided by it.
    """
    if old == new or _decided(old) != _decided(new):
        return False
    if any(each.reason == "CheckingImage" for each in new.conditions):
        return True
    return _shown(old) == _shown(new) and all(each.phase in ON_THE_WAY for each in new.leases)


def _decided(status: WorkloadStatus) -> WorkloadStatus:
    """What later passes rest on."""
    return WorkloadStatus(
        accepted_revision=status.accepted_revision,
        served_revision=status.served_revision,
        sequence=status.sequence,
        leases=tuple(
            replace(each, phase="Pending", provider=None, region=None) for each in status.leases
        ),
        failures=status.failures,
        failures_since_ready=status.failures_since_ready,
        adopted=status.adopted,
        next_attempt_at=status.next_attempt_at,
        client=status.client,
    )


def _shown(status: WorkloadStatus) -> tuple[object, ...]:
    """What people and tools wait for."""
    conditions = [(each.type, each.status, each.reason) for each in status.conditions]
    counts = (status.ready, status.replicas, status.ready_replicas)
    return status.observed_generation, status.url, status.image, counts, conditions


def _current(s: Situation) -> list[Lease]:
    return [each for each in s.leases if is_ready(each) and each.spec.revision == s.accepted]


def _is_leaving(lease: Lease) -> bool:
    return (
        lease.meta.deleting
        or lease.status.failure is not None
        or lease.status.closed_at is not None
    )


def _price(leases: Sequence[Lease]) -> str | None:
    prices = [
        parse_dollars(each.status.price_per_hour)
        for each in leases
        if each.status.price_per_hour and each.status.closed_at is None
    ]
    return shown_dollars(sum(prices)) if prices else None


def _providers(serving: Sequence[Lease]) -> str | None:
    names = sorted({each.status.provider for each in serving if each.status.provider})
    return ",".join(names)[:1024] or None


def _is_complete(s: Situation, current: Sequence[Lease]) -> bool:
    others = [
        each
        for each in s.leases
        if each.status.closed_at is None
        and each.spec.revision != s.accepted
        and not each.meta.deleting
    ]
    return s.is_accepted and len(current) >= s.workload.spec.replicas and not others


def _phase(s: Situation, serving: Sequence[Lease], current: Sequence[Lease]) -> str:
    if s.workload.meta.deleting:
        return "Closing"
    if stalled(s) is not None:
        return "Serving (spec refused)" if serving and s.problem else "Stalled"
    if _is_complete(s, current):
        return "Serving" if s.workload.spec.replicas else "ScaledToZero"
    if serving:
        return "Serving (updating)"
    return _furthest(s.leases)


def _furthest(leases: Sequence[Lease]) -> str:
    alive = [each.status.phase for each in leases if not _is_leaving(each)]
    found = (each for each in alive if each in ON_THE_WAY)
    return max(found, key=ON_THE_WAY.index, default="Pending")


def stalled(s: Situation) -> Problem | None:
    """Return why Garrison cannot go on by itself, None while it can."""
    if s.problem is not None:
        return s.problem
    if s.accepted is None or s.workload.spec.replicas == 0:
        return None
    if blame.is_blamed(s.fleet.failures, s.accepted):
        return _blamed(s, s.accepted)
    return None if s.blocked is None or _is_complete(s, _current(s)) else s.blocked


def _blamed(s: Situation, revision: str) -> Problem:
    mine = [each for each in s.fleet.failures if each.revision == revision]
    places = ", ".join(blame.faulty_providers(s.fleet.failures, revision)) or "the market"
    newest = mine[-1]
    spent = blame.is_exhausted(s.fleet.failures, revision)
    after = (
        "no further attempt until the container fields change"
        if spent
        else "trying again with growing pauses"
    )
    return Problem(
        reason="RevisionFailed",
        message=f"revision {revision} failed at {places} ({newest.reason}: {newest.message}); the workload "
        f"is to blame, not the providers: fix image, command, args or thresholds; {after}"[:1024],
    )


def _conditions(
    s: Situation, serving: Sequence[Lease], current: Sequence[Lease]
) -> tuple[Condition, ...]:
    stall = stalled(s)
    complete = stall is None and _is_complete(s, current)
    found = [
        _ready(s, stall, current, complete=complete),
        _available(s, serving),
        *_progress(s, stall, complete=complete),
        *_routed(s),
        *_guarded(s, serving),
        *_proven(s, serving),
        *_benchmarked(s, current),
        *_shared(s),
    ]
    old = {each.type: each for each in s.workload.status.conditions}
    return tuple(keep_time(each, old.get(each.type)) for each in found)


def _condition(
    s: Situation, type_: str, status: ConditionStatus, reason: str, message: str
) -> Condition:
    return Condition(
        type=type_,
        status=status,
        reason=reason,
        message=message[:1024],
        observed_generation=s.workload.meta.generation,
        last_transition_time=s.now.replace(microsecond=0),
    )


def _ready(
    s: Situation, stall: Problem | None, current: Sequence[Lease], *, complete: bool
) -> Condition:
    if stall is not None:
        return _condition(s, "Ready", "False", stall.reason, stall.message)
    if s.workload.meta.deleting:
        return _condition(s, "Ready", "False", "Deleting", "closing every lease on the market")
    if complete and s.workload.spec.replicas == 0:
        return _condition(
            s, "Ready", "True", "ScaledToZero", "no replica is wanted, none is paid for"
        )
    count = f"{len(current)} of {s.workload.spec.replicas} replicas"
    if complete:
        way = how_reached(s.workload)
        return _condition(s, "Ready", "True", "Serving", f"{count} serve; {way}")
    waiting = s.waiting or Problem(reason="Progressing", message=_why_none(s))
    message = f"{count} of this generation serve; {waiting.message}"
    return _condition(s, "Ready", "False", waiting.reason, message)


def _available(s: Situation, serving: Sequence[Lease]) -> Condition:
    if serving:
        return _condition(s, "Available", "True", "Serving", _serve(len(serving)))
    return _condition(s, "Available", "False", "NoReplicaReady", _why_none(s))


def _why_none(s: Situation) -> str:
    if s.workload.spec.replicas == 0:
        return "spec.replicas is 0"
    if s.waiting is not None:
        return s.waiting.message
    alive = [each for each in s.leases if not _is_leaving(each)]
    return (
        "; ".join(f"{each.meta.name}: {each.status.phase}" for each in alive)[:512]
        or "no lease yet"
    )


def _progress(s: Situation, stall: Problem | None, *, complete: bool) -> list[Condition]:
    """Stalled and Reconciling are abnormal-true: present only while true."""
    if stall is not None:
        return [_condition(s, "Stalled", "True", stall.reason, stall.message)]
    if complete:
        return []
    waiting = s.waiting or Problem(reason="Progressing", message=_why_none(s))
    return [_condition(s, "Reconciling", "True", waiting.reason, waiting.message)]


def _routed(s: Situation) -> list[Condition]:
    if s.routing is None:
        return []
    state: ConditionStatus = "True" if s.routing.routed else "False"
    return [_condition(s, "Routed", state, s.routing.reason, s.routing.message)]


def _benchmarked(s: Situation, current: Sequence[Lease]) -> list[Condition]:
    asked = s.workload.spec.benchmark
    if asked.api == "None":
        return []
    measured = [each.status.benchmark for each in current if each.status.benchmark]
    if measured and len(measured) == len(current):
        short = next((each for each in measured if missed(each, asked)), None)
        if short is not None:
            lack = f"{missed(short, asked)[:700]}: {remedy(short)}"
            if not short.requests:
                return [_condition(s, "BenchmarkPassed", "False", "BenchmarkNoAnswer", lack)]
            return [_condition(s, "BenchmarkPassed", "False", "ThresholdsMissed", lack)]
        return [_condition(s, "BenchmarkPassed", "True", "ThresholdsMet", slowest(measured))]
    return [_condition(s, "BenchmarkPassed", "Unknown", "NotMeasured", "no Ready replica yet")]


def _shared(s: Situation) -> list[Condition]:
    """A login that a provider needs is one that it can read: said for as long as one is named."""
    names = ", ".join(each.name for each in s.workload.spec.image_pull_secrets)
    if not names:
        return []
    host = s.workload.spec.image.partition("/")[0]
    message = (
        f"the provider of each replica receives the login for {host} that imagePullSecrets {names} "
        "hold, and can read it (with backend.type Console, so can the Console API): of a service "
        "account's key (user _json_key) only an access token that ends within hours, of anything else "
        "what the Secret holds, for as long as that is valid; use one that can only pull this "
        "repository, and revoke it when it is not needed"
    )
    return [_condition(s, "PullSecretsShared", "True", "ProviderSeesThem", message)]


def how_reached(workload: Workload) -> str:
    """Return how requests get to the replicas: what is true of the way, and no more."""
    return IN_THE_CLEAR if workload.spec.trust == "Unverified" else BY_MTLS


def _guarded(s: Situation, serving: Sequence[Lease]) -> list[Condition]:
    """What the egress guard of every serving replica enforces; an audit enforces nothing."""
    if s.workload.spec.trust == "Unverified":
        return []
    records = [each.status.egress for each in serving]
    known = [each for each in records if each is not None]
    if not known or len(known) < len(records):
        return [
            _condition(s, "EgressEnforced", "Unknown", "NoReplicaReady", "no replica serves yet")
        ]
    policy = known[0].policy
    what = f"EgressPolicy {policy}" if policy else "no EgressPolicy: nothing is allowed"
    if any(each.mode == "Audit" for each in known):
        return [_condition(s, "EgressEnforced", "False", "Audit", f"{what}; audited, not enforced")]
    if any(each.in_force != each.version for each in known):
        return [_condition(s, "EgressEnforced", "Unknown", "Progressing", f"{what}; being updated")]
    weak = sorted({each.level for each in known} - {"Enforced"})
    if weak:
        leaks = sorted({leak for each in known for leak in each.leaks})
        message = f"{what}; {', '.join(weak)}: {'; '.join(leaks) or 'not enforced'}"
        return [_condition(s, "EgressEnforced", "False", weak[0], message)]
    rungs = ", ".join(sorted({each.rung for each in known}))
    limits = "".join(f"; {limit}" for limit in sorted({one for e in known for one in e.limits}))
    message = f"{what}; enforced by {rungs}{limits}"
    return [_condition(s, "EgressEnforced", "True", "Enforced", message)]


AGAINST = "this holds against intruders, bad roll-outs and drift, not against a provider that owns the machine"


def _proven(s: Situation, serving: Sequence[Lease]) -> list[Condition]:
    """What looks inside have found, against what reference, and against whom that holds."""
    if s.workload.spec.integrity is None or s.workload.spec.trust == "Unverified":
        return []
    known = [each.status.integrity for each in serving]
    drifted = [
        f"{each.meta.name} at {each.status.provider}: {', '.join(found.drifted)}"
        for each, found in zip(serving, known, strict=True)
        if found is not None and found.state == "Drifted"
    ]
    if drifted:
        return [_condition(s, "IntegrityVerified", "False", "IntegrityDrift", "; ".join(drifted))]
    records = [each for each in known if each is not None and each.state == "Verified"]
    if not known:
        return [
            _condition(s, "IntegrityVerified", "Unknown", "NoReplicaReady", "no replica serves yet")
        ]
    if len(records) < len(known):
        return [_condition(s, "IntegrityVerified", "Unknown", "NotChecked", _unchecked(known))]
    notes = "".join(sorted({f"; {each.message}" for each in records if each.message}))
    weak = [each for each in records if each.reference == "FirstStart"]
    if weak:
        why = weak[0].reference_message or "the image was not read"
        message = (
            "files, programs and libraries are those of the first start, whatever they were then "
            f"({why}){notes}; {AGAINST}"
        )
        return [_condition(s, "IntegrityVerified", "True", "MatchesFirstStart", message)]
    message = f"files, programs and libraries are those of the image's layers{notes}; {AGAINST}"
    return [_condition(s, "IntegrityVerified", "True", "MatchesImage", message)]


def _unchecked(known: Sequence[IntegrityStatus | None]) -> str:
    said = sorted({each.message for each in known if each is not None and each.message})
    return "; ".join(said) or "not every serving replica has been looked at yet"


def _serve(count: int) -> str:
    return "1 replica serves" if count == 1 else f"{count} replicas serve"
