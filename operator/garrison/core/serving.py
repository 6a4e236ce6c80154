"""From a lease to a replica that serves, and its watch while it does."""

from __future__ import annotations

from dataclasses import replace

from garrison.api.lease import EndpointStatus, HealthStatus, LeaseStatus
from garrison.api.workload import Blame
from garrison.core import admission, adoption, anomaly, proving
from garrison.core.benchmark import is_due, judge, unanswered
from garrison.core.health import next_probe
from garrison.core.lifecycle import Observation, SendManifest, StartBenchmark, Step, age, entered
from garrison.core.order import sentinel_ports
from garrison.core.ordering import order
from garrison.core.phase import enter, failed
from garrison.core.variant import variant
from garrison.ports.market import LeaseState

PROVIDER_REASONS = frozenset({"unstable", "decommission", "unspecified", "manifest_timeout"})


def deploying(o: Observation) -> Step:
    """Wait until the provider forwards the port; hand the manifest over when it has none."""
    lost = _lost(o)
    if lost is not None:
        return lost
    since = entered(o.status, "Deploying")
    if age(since, o.now) > o.timing.deploy_timeout:
        return _fail(
            o,
            "DeployTimeout",
            f"no running container after {o.timing.deploy_timeout:.0f} s; the image may be too large "
            "for this provider's link, or cannot be pulled there",
            "Undecided",
        )
    unreachable = _unreachable(o)
    if unreachable is not None:
        return unreachable
    if o.service is None:
        adopted = o.lease.spec.adopts is not None
        if o.gateway_error or o.template is None or o.account is None or adopted:
            return Step(status=o.status, requeue=o.timing.poll)
        return Step(status=o.status, action=SendManifest(order=order(o)), requeue=o.timing.poll)
    if not _is_forwarded(o):
        return Step(status=o.status, requeue=_eager(age(since, o.now), o.timing.poll))
    phase = "Enrolling" if o.verified else "Verifying"
    return Step(status=enter(_moved(o), phase, o.now), requeue=0.0)


def _eager(waited: float, poll: float) -> float:
    """Look often at first: most things take well under a second or well over one."""
    return max(0.05, min(poll, waited / 4))


def _is_forwarded(o: Observation) -> bool:
    data, control = _reached(o)
    return data is not None and (control is not None or not o.verified)


def _reached(o: Observation) -> tuple[EndpointStatus | None, EndpointStatus | None]:
    """The data and the control port as they are reached from outside, as far as they are known."""
    if o.template is None:
        return None, None
    if o.lease.spec.adopts is not None:
        return adoption.reached(o), None
    if not o.verified:
        return _forwarded(o, o.template.port), None
    ports = sentinel_ports(o.template.port)
    return _forwarded(o, ports.data), _forwarded(o, ports.control)


def _forwarded(o: Observation, wanted: int) -> EndpointStatus | None:
    found = [each for each in o.service.ports if each.port == wanted] if o.service else []
    return EndpointStatus(host=found[0].host, port=found[0].external_port) if found else None


def _unreachable(o: Observation) -> Step | None:
    if o.gateway_down_since is None or age(o.gateway_down_since, o.now) < o.timing.gateway_grace:
        return None
    return _fail(
        o,
        "ProviderUnreachable",
        f"the gateway of {o.status.provider} has not answered for {o.timing.gateway_grace:.0f} s: "
        f"{o.gateway_error}",
        "Provider",
    )


def _fail(o: Observation, reason: str, message: str, blame: Blame) -> Step:
    return Step(status=failed(o.status, reason, message, blame, o.now), requeue=0.0)


def _lost(o: Observation) -> Step | None:
    """Whether the market says that the lease is over, or will be."""
    lease = o.market_lease
    if o.deployment is None or lease is None:
        return None
    match lease.state:
        case LeaseState.ACTIVE:
            return None
        case LeaseState.RECLAIMING:
            return None
        case LeaseState.INSUFFICIENT_FUNDS:
            return _fail(
                o,
                "EscrowExhausted",
                f"the escrow of deployment {o.deployment.id} ran out; add credit to the account, and "
                "set treasury.minRunwayHours so that escrow is topped up in time",
                "Nobody",
            )
        case LeaseState.CLOSED:
            blame: Blame = "Nobody" if "owner" in lease.reason else "Provider"
            return _fail(
                o,
                "LeaseClosed",
                f"{lease.provider} closed the lease ({lease.reason or 'no reason given'})",
                blame,
            )


def enrolling(o: Observation) -> Step:
    """Wait for the sentinel and sign its certificate, at whatever port it is reached."""
    lost = _lost(o)
    if lost is not None:
        return lost
    if o.unsafe:
        return _fail(o, "UnsafeDestination", o.unsafe, "Provider")
    unreachable = _unreachable(o)
    if unreachable is not None and not o.views:
        return unreachable
    return admission.enrolling(with_status(o, _moved(o)))


def with_status(o: Observation, status: LeaseStatus) -> Observation:
    """Return the observation as if this status had been observed."""
    return o if status is o.status else variant(o, lease=replace(o.lease, status=status))


def verifying(o: Observation) -> Step:
    """Let the sentinel start the workload, then wait until the model answers, within the grace."""
    lost = _lost(o)
    if lost is not None:
        return lost
    if o.unsafe:
        return _fail(o, "UnsafeDestination", o.unsafe, "Provider")
    if o.verified:
        admitted = admission.admitting(o)
        if admitted is not None:
            return admitted
        o = with_status(o, admission.told(o))
    if o.track.healthy:
        unproven = proving.before_ready(o) if o.verified else None
        return unproven or _healthy(o)
    unreachable = _unreachable(o)
    if unreachable is not None:
        return unreachable
    waited = age(entered(o.status, "Verifying"), o.now)
    grace = o.health.startup_grace_seconds
    if waited > grace:
        return _fail(
            o,
            "StartupFailed",
            f"{o.health.path} did not answer with 2xx within startupGraceSeconds={grace} "
            f"(last: {o.track.message or 'no answer'}); read the container's logs, or raise the grace",
            "Undecided",
        )
    return Step(status=_moved(o), requeue=_startup_look(o, waited))


def _startup_look(o: Observation, waited: float) -> float:
    return min(o.health.period_seconds, max(0.1, waited / 4), 2.0)


def _moved(o: Observation) -> LeaseStatus:
    """The status with the newest forwarded ports: a restarted container may have others."""
    data, control = _reached(o)
    status = o.status
    if data is not None and data != status.endpoint:
        status = replace(status, endpoint=data)
    if control is not None and control != status.control:
        status = replace(status, control=control)
    if o.service is not None and o.service.name and o.service.name != status.service:
        status = replace(status, service=o.service.name)
    return status


def _healthy(o: Observation) -> Step:
    health = HealthStatus(state="Healthy", since=o.now)
    status = replace(o.status, health=health)
    if o.benchmark.api == "None":
        return Step(status=enter(status, "Ready", o.now), requeue=0.0)
    return Step(status=enter(status, "Benchmarking", o.now), requeue=0.0)


def benchmarking(o: Observation) -> Step:
    """Measure; no answer is a failure, never a skip."""
    lost = _lost(o) or (admission.upkeep(o) if o.verified else None)
    if lost is not None:
        return lost
    if o.measuring:
        return Step(status=o.status, requeue=o.timing.watch)
    if o.measure_error:
        return _fail(o, "BenchmarkNoAnswer", o.measure_error, "Undecided")
    if o.figures is None:
        return Step(status=o.status, action=StartBenchmark(), requeue=o.timing.watch)
    return _judged(o)


def _judged(o: Observation) -> Step:
    assert o.figures is not None  # noqa: S101 - the caller checked
    verdict = judge(o.figures, o.benchmark, o.now)
    status = replace(o.status, benchmark=verdict)
    if verdict.passed:
        return Step(status=enter(status, "Ready", o.now), requeue=0.0)
    message = f"{verdict.message} at {o.status.provider}"
    return Step(status=failed(status, "BenchmarkFailed", message, "Undecided", o.now), requeue=0.0)


def ready(o: Observation) -> Step:
    """Watch the lease, the probes and the benchmark's period."""
    lost = _lost(o) or (admission.upkeep(o) if o.verified else None)
    if lost is not None:
        return lost
    if o.verified:
        o = with_status(o, admission.told(o))
    if o.track.failures >= o.health.failure_threshold:
        return _unhealthy(o)
    status = _remeasured(o, _watched(o, _reclaiming(o)))
    if _may_measure(o) and is_due(status.benchmark, o.benchmark, o.now):
        return Step(status=status, action=StartBenchmark(), requeue=o.timing.watch)
    return Step(status=status, requeue=max(0.05, min(_next_probe(o), proving.next_look(o))))


def _may_measure(o: Observation) -> bool:
    """A benchmark beside clients' requests slows both, and the replica would be blamed for it.

    Without an agent nobody can tell whether there are any.
    """
    idle = not o.in_use if o.in_use is not None else not o.verified
    return o.track.healthy and not o.measuring and idle


def _next_probe(o: Observation) -> float:
    """The seconds until a probe is due; one that is on its way wakes the lease up by itself."""
    if o.probing:
        return o.timing.watch
    return min(o.timing.watch, next_probe(o.track, o.health.period_seconds, o.now))


def _remeasured(o: Observation, status: LeaseStatus) -> LeaseStatus:
    """A repeat ends nothing that serves: what misses it is replaced first (``core/fleet.py``).

    No answer counts while probes are answered; else they decide, and it is measured again.
    """
    if o.figures is not None:
        return replace(status, benchmark=judge(o.figures, o.benchmark, o.now))
    if o.measure_error and o.track.healthy:
        return replace(status, benchmark=unanswered(o.measure_error, o.now))
    return status


def _watched(o: Observation, status: LeaseStatus) -> LeaseStatus:
    """Only told of, never acted on: the figures are the provider's machine's own word."""
    busy = anomaly.told(status.busy_while_idle, o.activity, o.now)
    return status if busy is status.busy_while_idle else replace(status, busy_while_idle=busy)


def _reclaiming(o: Observation) -> LeaseStatus:
    lease = o.market_lease
    deadline = lease.reclaim_deadline if lease and lease.state is LeaseState.RECLAIMING else None
    moved = _moved(o)
    return (
        moved if deadline == moved.reclaim_deadline else replace(moved, reclaim_deadline=deadline)
    )


def _unhealthy(o: Observation) -> Step:
    probes = f"{o.track.failures} probes of {o.health.path} in a row failed ({o.track.message})"
    health = HealthStatus(state="Unhealthy", message=o.track.message[:1024], since=o.now)
    status = replace(o.status, health=health)
    if o.gateway_down_since is not None:
        message = f"{probes}, and the gateway of {o.status.provider} does not answer either"
        return Step(
            status=failed(status, "ProviderUnreachable", message, "Provider", o.now), requeue=0.0
        )
    return Step(status=failed(status, "Unhealthy", probes, "Undecided", o.now), requeue=0.0)
