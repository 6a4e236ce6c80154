"""The sealed start: what must hold before the workload's process exists, and while it does.

A sentinel comes up sealed, after every restart of its container. It is enrolled (proofs checked,
certificate signed), given the egress policy, and only then told to start the workload. Each step is one
action, its outcome is read back from the sentinel, and a pass after a crash goes on from what is true.
Before secrets are handed over, what is inside is compared with what should be (``proving``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from garrison.api.lease import LeaseEgress, LeaseStatus, SecretStatus, SentinelStatus
from garrison.api.workload import Blame
from garrison.core import proving
from garrison.core.egress import acknowledged, in_force, is_current, shortfall, wanted_version
from garrison.core.lifecycle import (
    DeliverSecret,
    Enrol,
    Observation,
    SealInstances,
    SetEgress,
    StartWorkload,
    Step,
    age,
    entered,
)
from garrison.core.phase import enter, failed
from garrison.core.rotation import WantedSecret, overdue
from garrison.ports.sentinel import EgressView, Enrolment, Launch, SentinelState, View

MAX_ENTERED = 10
RENEW_BEFORE = timedelta(hours=6)
"""A lease's certificate lives twelve hours and is renewed when less than this is left."""


def door_of(status: LeaseStatus) -> tuple[str | None, str | None]:
    """Return the instance and key that are expected behind a control port; None before enrolment."""
    known = status.sentinel
    return (known.instance, known.key) if known is not None else (None, None)


def enrolling(o: Observation) -> Step:
    """Wait for the sentinel, check who it is, and sign its certificate."""
    trouble = _trouble(o)
    if trouble is not None:
        return trouble
    view = _view(o)
    if view is None:
        waited = age(entered(o.status, "Enrolling"), o.now)
        return Step(status=o.status, requeue=max(0.1, min(o.timing.poll, waited / 4)))
    if not _is_enrolled(o.status, view):
        return Step(status=o.status, action=Enrol(), requeue=0.0)
    return Step(status=enter(o.status, "Verifying", o.now), requeue=0.0)


def admitting(o: Observation) -> Step | None:
    """Return the next step towards a running workload; None once it runs under everything asked."""
    trouble = _trouble(o)
    if trouble is not None:
        return trouble
    view = _view(o)
    if view is None:
        return Step(status=o.status, requeue=o.timing.lookup)
    if not _is_enrolled(o.status, view):
        return _again(o)
    return (
        _guarding(o, view)
        or proving.before_start(o, view)
        or _delivering(o, view)
        or _starting(o, view)
    )


def upkeep(o: Observation) -> Step | None:
    """Return what a serving replica's sentinel needs now; None when that is nothing."""
    trouble = _trouble(o)
    if trouble is not None:
        return trouble
    view = _view(o)
    if view is None:
        return None
    if not _is_enrolled(o.status, view) or view.state is SentinelState.ENROLLED:
        return _again(o)
    if _renewal_is_due(o):
        return Step(status=o.status, action=Enrol(), requeue=0.0)
    return _guarding(o, view) or _delivering(o, view) or proving.while_running(o, view)


def told(o: Observation) -> LeaseStatus:
    """Return the status with what the sentinel says about its guard."""
    view = _view(o)
    record = o.status.egress
    if view is None or view.egress is None or record is None:
        return o.status
    status = _seen(o.status, view)
    stated = acknowledged(record, view.egress, o.now, view.entered)
    return status if stated == record else replace(status, egress=stated)


def _seen(status: LeaseStatus, view: View) -> LeaseStatus:
    """The status with who came in beside the guard, for as long as this instance lives.

    And with the resolvers of the lease's first instance, for good.
    """
    known = status.sentinel
    if known is None or known.instance != view.instance:
        return status
    entered = tuple(each[:253] for each in view.entered[:MAX_ENTERED])
    resolvers = view.resolvers if known.resolvers is None else known.resolvers
    seen = replace(known, entered=entered, resolvers=resolvers)
    return status if seen == known else replace(status, sentinel=seen)


def enrolled(o: Observation, status: LeaseStatus, value: object) -> LeaseStatus:
    """Return the status with the instance whose certificate was signed."""
    if not isinstance(value, Enrolment):
        return status
    known = status.sentinel
    renewed = known is not None and known.instance == value.instance
    restarts = known.restarts + (not renewed) if known is not None else 0
    return replace(
        status,
        sentinel=SentinelStatus(
            instance=value.instance,
            key=value.key,
            certificate_until=value.certificate_until,
            enrolled_at=known.enrolled_at if renewed and known is not None else o.now,
            restarts=restarts,
            entered=known.entered if renewed and known is not None else (),
            resolvers=known.resolvers if known is not None else None,
        ),
    )


def guarded(status: LeaseStatus, value: object) -> LeaseStatus:
    """Return the status with the version of the policy that the replica has acknowledged."""
    if not isinstance(value, EgressView) or status.egress is None:
        return status
    entered = status.sentinel.entered if status.sentinel is not None else ()
    return replace(status, egress=in_force(status.egress, value, entered))


def _view(o: Observation) -> View | None:
    return o.views[0] if o.views else None


def _is_enrolled(status: LeaseStatus, view: View) -> bool:
    known = status.sentinel
    return known is not None and (known.instance, known.key) == (view.instance, view.key)


def _again(o: Observation) -> Step:
    """Another instance has taken the place of the enrolled one: it is sealed and starts anew.

    What it had been offered stays on record: it gets the newest versions again.
    """
    return Step(status=enter(o.status, "Enrolling", o.now), requeue=0.0)


def _renewal_is_due(o: Observation) -> bool:
    known = o.status.sentinel
    return known is not None and known.certificate_until - o.now < RENEW_BEFORE


def _trouble(o: Observation) -> Step | None:
    if len({each.instance for each in o.views}) > 1:
        return _doubled(o)
    view = _view(o)
    if view is not None and view.digest != _expected_digest(o):
        return _fail(
            o,
            "SentinelChanged",
            f"the container at {o.status.provider} runs another sentinel than the one that was "
            "injected",
            "Provider",
        )
    if view is not None and _asks_others(o.status, view):
        return _fail(o, "ResolversChanged", _other_resolvers(o, view), "Undecided")
    if view is not None and view.sealed_because:
        return _fail(o, "SentinelSealed", view.sealed_because, "Undecided")
    return _silence(o)


def _asks_others(status: LeaseStatus, view: View) -> bool:
    """Whoever answers for names decides what an allowed name is: a workload may have put itself there."""
    first = status.sentinel.resolvers if status.sentinel is not None else None
    return first is not None and view.resolvers is not None and view.resolvers != first


def _other_resolvers(o: Observation, view: View) -> str:
    first = o.status.sentinel.resolvers if o.status.sentinel is not None else None
    return (
        f"the container at {o.status.provider} was restarted, and its /etc/resolv.conf names other "
        f"resolvers ({', '.join(view.resolvers or ()) or 'none'}) than at first "
        f"({', '.join(first or ()) or 'none'}), as an intruder may have it; it is not started"
    )


def _expected_digest(o: Observation) -> str:
    return o.lease.spec.sentinel.digest if o.lease.spec.sentinel is not None else ""


def _doubled(o: Observation) -> Step:
    message = (
        f"two containers at {o.status.provider} answer for this lease at once: its bootstrap was "
        "copied; both are told to seal, no request is routed there, and another provider is taken"
    )
    status = failed(o.status, "SecondSession", message, "Provider", o.now)
    return Step(status=status, action=SealInstances(reason="SecondSession"), requeue=0.0)


def _silence(o: Observation) -> Step | None:
    """Nothing answers, or something that cannot prove that it is this lease's sentinel."""
    waited = age(o.sentinel_down_since, o.now)
    if o.sentinel_refused and waited > o.timing.identity_grace:
        return _fail(
            o,
            "IdentityRefused",
            f"what answers at {o.status.provider} is not this lease's sentinel: {o.sentinel_error}",
            "Provider",
        )
    if o.status.sentinel is None:
        return _never_came(o)
    if waited > o.timing.sentinel_grace:
        return _fail(
            o,
            "SentinelUnreachable",
            f"the sentinel has not answered for {o.timing.sentinel_grace:.0f} s: {o.sentinel_error}",
            "Provider",
        )
    return None


def _never_came(o: Observation) -> Step | None:
    waited = age(entered(o.status, "Enrolling"), o.now)
    if waited <= o.timing.enrol_timeout or o.views:
        return None
    return _fail(
        o,
        "SentinelDidNotStart",
        f"no sentinel answered within {o.timing.enrol_timeout:.0f} s "
        f"(last: {o.sentinel_error or 'no answer'}); it needs python3 (3.9 or newer) with its "
        "standard library in the image: add it, or set spec.trust: Unverified to run without",
        "Undecided",
    )


def _fail(o: Observation, reason: str, message: str, blame: Blame) -> Step:
    return Step(status=failed(o.status, reason, message, blame, o.now), requeue=0.0)


def _guarding(o: Observation, view: View) -> Step | None:
    """The newest policy, recorded first, then put in force, then judged."""
    record = wanted_version(o.status.egress, o.egress)
    if record != o.status.egress:
        return Step(status=replace(o.status, egress=record), requeue=0.0)
    if not is_current(record, view.egress):
        return Step(
            status=o.status,
            action=SetEgress(version=record.version, policy=o.egress.spec),
            requeue=0.0,
        )
    return _judged(o, view, record)


def _judged(o: Observation, view: View, record: LeaseEgress) -> Step | None:
    assert view.egress is not None  # noqa: S101 - is_current() saw it
    short = shortfall(o.egress.spec, view.egress)
    if short:
        status = replace(o.status, egress=acknowledged(record, view.egress, o.now))
        message = f"{o.status.provider}: {short}"
        return Step(
            status=failed(status, "EgressNotEnforced", message, "Provider", o.now), requeue=0.0
        )
    return None


def _delivering(o: Observation, view: View) -> Step | None:
    """Every secret in the version that is live: offered on record, then sent, then acknowledged."""
    for wanted in o.secrets:
        step = _delivered(o, view, wanted)
        if step is not None:
            return step
    return None


def _delivered(o: Observation, view: View, wanted: WantedSecret) -> Step | None:
    record = next((each for each in o.status.secrets if each.name == wanted.name), None)
    if wanted.version is None:
        return None if view.state is SentinelState.RUNNING else _awaited(o, wanted)
    if record is None or record.wanted < wanted.version:
        return Step(status=_offered(o, record, wanted), requeue=0.0)
    if view.secrets.get(wanted.name, 0) < record.wanted:
        if overdue(record.wanted_since or o.now, o.now):
            return _unacknowledged(o, record)
        action = DeliverSecret(name=wanted.name, version=record.wanted)
        return Step(status=o.status, action=action, requeue=o.timing.lookup)
    if record.version != record.wanted:
        taken = replace(record, version=record.wanted, wanted_since=None)
        return Step(status=_recorded(o.status, taken), requeue=0.0)
    return None


def _awaited(o: Observation, wanted: WantedSecret) -> Step:
    """A paid replica does not wait for a source that gives nothing."""
    if age(entered(o.status, "Verifying"), o.now) > o.timing.secret_timeout:
        return _fail(
            o,
            "SecretUnavailable",
            f"RotatingSecret {wanted.name} had no version for this replica within "
            f"{o.timing.secret_timeout:.0f} s; see kubectl describe rsec {wanted.name}",
            "Nobody",
        )
    return Step(status=o.status, requeue=o.timing.poll)


def _offered(o: Observation, record: SecretStatus | None, wanted: WantedSecret) -> LeaseStatus:
    known = record or SecretStatus(name=wanted.name)
    offer = replace(known, wanted=wanted.version or 0, wanted_since=o.now.replace(microsecond=0))
    return _recorded(o.status, offer)


def _recorded(status: LeaseStatus, record: SecretStatus) -> LeaseStatus:
    others = tuple(each for each in status.secrets if each.name != record.name)
    return replace(status, secrets=(*others, record))


def _unacknowledged(o: Observation, record: SecretStatus) -> Step:
    return _fail(
        o,
        "SecretNotAcknowledged",
        f"the replica at {o.status.provider} did not take version {record.wanted} of secret "
        f"{record.name}; it is replaced before version {record.version} is revoked",
        "Undecided",
    )


def _starting(o: Observation, view: View) -> Step | None:
    if view.state is SentinelState.RUNNING:
        return None
    if o.launch is None:
        return Step(status=o.status, requeue=o.timing.poll)
    if not o.launch.argv:
        return _fail(
            o,
            "NoCommand",
            "the image has neither entrypoint nor command, and the spec sets none; set spec.command",
            "Revision",
        )
    return Step(status=told(o), action=StartWorkload(launch=o.launch), requeue=0.0)


def launch_of(
    *,
    command: tuple[str, ...],
    args: tuple[str, ...],
    image_entrypoint: tuple[str, ...],
    image_command: tuple[str, ...],
    env: tuple[tuple[str, str], ...],
    port: int,
    drain_seconds: int,
    metrics_path: str | None = None,
) -> Launch:
    """Return how the process is started: as Kubernetes combines a Pod's fields with the image's."""
    own = (*image_entrypoint, *(args or image_command))
    argv = (*command, *args) if command else own
    return Launch(
        argv=argv, env=env, port=port, drain_seconds=drain_seconds, metrics_path=metrics_path
    )
