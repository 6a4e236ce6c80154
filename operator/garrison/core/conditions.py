"""A workload's conditions after kstatus: what holds, and against whom."""

from __future__ import annotations

from collections.abc import Sequence

from garrison.api.lease import IntegrityStatus, Lease
from garrison.api.meta import Condition, ConditionStatus, keep_time
from garrison.api.workload import Workload
from garrison.core.benchmark import missed, remedy, slowest
from garrison.core.situation import Problem, Situation, is_complete, is_leaving, stalled

IN_THE_CLEAR = "replicas are reached in the clear: unencrypted, unauthenticated"
BY_MTLS = "replicas are reached by mutual TLS that ends inside the container"
AGAINST = "this holds against intruders, bad roll-outs and drift, not against a provider that owns the machine"


def conditions(
    s: Situation, serving: Sequence[Lease], current: Sequence[Lease]
) -> tuple[Condition, ...]:
    """Return the conditions as they are now, in the order in which they are shown."""
    stall = stalled(s)
    complete = stall is None and is_complete(s, current)
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
    alive = [each for each in s.leases if not is_leaving(each)]
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
