"""Every step of a lease keeps the laws, in any world; and a world that obeys leads to the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.api.lease import PHASES
from garrison.api.meta import FINALIZER
from garrison.core.integrity import Finding, Standing, patterns_digest
from garrison.core.lifecycle import (
    AcceptBid,
    Action,
    CloseDeployment,
    CreateDeployment,
    DeliverSecret,
    Enrol,
    EnsureFinalizer,
    LookInside,
    Observation,
    PrepareBootstrap,
    RemoveFinalizer,
    SendManifest,
    SetEgress,
    StartBenchmark,
    StartWorkload,
    Step,
)
from garrison.core.replica import finished, settle, step
from garrison.errors import FundsError, RejectedError, UnavailableError, UnknownOutcomeError
from garrison.ports.market import Deployment, DeploymentState
from garrison.ports.probe import BenchmarkFigures, ProbeOutcome
from garrison.ports.sentinel import EgressView, Enrolment, SentinelState, View
from tests.builders import account, bid, deployment, market_lease, template
from tests.unit.core.inside import DIGEST, IMAGE_DIGEST, INJECTION, LAUNCH
from tests.unit.core.laws import LAWS
from tests.unit.core.observations import PORT, PROVIDERS, World, with_status, worlds

many = settings(max_examples=200, deadline=None)
GOOD = BenchmarkFigures(
    model="m", requests=4, time_to_first_token_ms=1, millitokens_per_second=10**9
)
ERRORS = (
    FundsError("empty"),
    RejectedError("bad"),
    UnavailableError("down"),
    UnknownOutcomeError("lost"),
)
FRESH = View(
    instance="one",
    state=SentinelState.SEALED,
    digest=DIGEST,
    egress=EgressView(version=0, level="Enforced"),
)
LONGEST = 80
"""Steps that a whole life takes at most, in a world that does what it is asked."""


@pytest.mark.parametrize("phase", PHASES)
@given(world=worlds())
@many
def test_every_step_keeps_the_laws(phase: str, world: World) -> None:
    o = world.observation((phase,))
    taken = step(o)
    for law in LAWS:
        law(o, taken)


@pytest.mark.timeout(180)
def test_the_random_worlds_reach_every_action() -> None:
    wanted = {each.__name__ for each in get_args(Action)}
    seen: Counter[str] = Counter()
    for seed in range(3000):
        for phase in PHASES:
            seen[type(step(World(seed).observation((phase,))).action).__name__] += 1
        if all(seen[each] > 2 for each in wanted):
            return
    raise AssertionError([each for each in sorted(wanted) if seen[each] <= 2])


@many
@given(world=worlds(), error=st.sampled_from(ERRORS))
def test_an_error_invents_no_deployment_and_only_a_refusal_ends_an_intent(
    world: World, error: Exception
) -> None:
    o = world.observation(("Ordering", "Leasing", "Deploying"))
    taken = step(o)
    after = settle(o, taken, None, error).status
    assert after.deployment == taken.status.deployment
    if not isinstance(error, RejectedError):
        assert after.intent == taken.status.intent


@many
@given(world=worlds())
def test_the_same_world_leads_to_rest(world: World) -> None:
    """Statuses alone never keep a lease busy: no circle, and no second write for one fact."""
    o = world.observation()
    for _ in range(LONGEST):
        after = finished(o, step(o).status)
        if after == o.status:
            return
        o = with_status(o, after)
    raise AssertionError(f"still moving: {o.status}")


def cooperative(o: Observation, taken: Step) -> Observation:
    """The world a moment later, when everybody does what they are asked."""
    now = o.now + timedelta(seconds=max(taken.requeue or 1.0, 1.0))
    later = replace(with_status(o, finished(o, taken.status)), now=now, holds_token=True)
    match taken.action:
        case EnsureFinalizer():
            meta = replace(o.lease.meta, finalizers=(FINALIZER,))
            return replace(later, lease=replace(later.lease, meta=meta))
        case CreateDeployment(order=order):
            made = deployment(marker=order.marker)
            after = settle(o, taken, made, None).status
            return replace(with_status(later, after), deployment=made, bids=(bid(),))
        case AcceptBid(bid=chosen):
            return replace(later, deployment=deployment(market_lease(chosen.provider)))
        case SendManifest():
            return replace(later, service=PORT)
        case CloseDeployment():
            return replace(later, deployment=deployment(state=DeploymentState.CLOSED))
        case StartBenchmark():
            return replace(later, figures=GOOD)
        case PrepareBootstrap():
            return replace(later, injection=INJECTION)
        case LookInside():
            return replace(later, integrity=replace(o.integrity, finding=found(o), error=""))
        case Enrol() | SetEgress() | DeliverSecret() | StartWorkload():
            return obeyed(later, o, taken)
        case _:
            return later


def found(o: Observation) -> Finding:
    """What a look into a good container finds."""
    assert o.integrity.asked is not None
    view = o.views[0]
    return Finding(
        instance=view.instance,
        stage="Sealed" if view.state is SentinelState.ENROLLED else "Running",
        patterns=patterns_digest(o.integrity.asked.paths),
        at=o.now,
        state="Verified",
        digest="f" * 64,
    )


def obeyed(later: Observation, o: Observation, taken: Step) -> Observation:
    """The sentinel a moment later: enrolled, under the policy, running, as it was told."""
    view = o.views[0]
    match taken.action:
        case Enrol():
            until = o.now + timedelta(hours=12)
            value: object = Enrolment(instance="one", key="key-one", certificate_until=until)
            state = SentinelState.ENROLLED if view.state is SentinelState.SEALED else view.state
            view = replace(view, key="key-one", state=state)
        case SetEgress(version=version):
            value = EgressView(version=version, level="Enforced", rung="strict")
            view = replace(view, egress=value)
        case DeliverSecret(name=name, version=version):
            value = None
            view = replace(view, secrets={**view.secrets, name: version})
        case _:
            value = None
            view = replace(view, state=SentinelState.RUNNING)
    after = finished(o, settle(o, taken, value, None).status)
    return replace(with_status(later, after), views=(view,))


def faultless(o: Observation) -> Observation:
    """The same state in a world in which nothing is wrong any more."""
    return replace(
        held(o),
        template=template("h100", "a100"),
        policy_missing=False,
        providers=PROVIDERS,
        deployment=recorded(o),
        bids=(bid(),),
        track=replace(o.track, outcome=ProbeOutcome.HEALTHY, failures=0),
        unsafe="",
        gateway_down_since=None,
        gateway_error="",
        measuring=False,
        measure_error="",
        figures=None,
        orphaned=False,
        recorded=True,
        launch=LAUNCH,
        secrets=tuple(replace(each, version=3) for each in o.secrets),
        unrevoked=(),
        integrity=Standing(asked=o.integrity.asked, image=IMAGE_DIGEST),
        sentinel_refused=False,
        sentinel_down_since=None,
        views=(FRESH,) if o.verified else (),
    )


def held(o: Observation) -> Observation:
    """Without the finalizer a deleted object would not be there any more."""
    if not o.lease.meta.deleting:
        return o
    meta = replace(o.lease.meta, finalizers=(FINALIZER,))
    return replace(o, lease=replace(o.lease, meta=meta))


def recorded(o: Observation) -> Deployment | None:
    """The deployment as a market without faults shows it."""
    record = o.status.deployment
    if record is None:
        return None
    held = (market_lease(),) if o.status.provider is not None else ()
    return deployment(*held, marker=record.marker)


@many
@given(world=worlds(), granted=st.booleans())
def test_from_any_state_a_world_without_faults_leads_to_the_end(
    *, world: World, granted: bool
) -> None:
    o = faultless(world.observation())
    ledger = world.ledger(o.status.attempt) if granted else None
    o = replace(o, account=account(ledger))
    for _ in range(LONGEST):
        taken = step(o)
        if isinstance(taken.action, RemoveFinalizer):
            break
        o = cooperative(o, taken)
    status = o.status
    assert status.phase in {"Pending", "Ready"} or status.closed_at is not None, status
    assert status.closed_at is not None or not o.lease.meta.deleting, status
    assert status.deployment is None or status.phase != "Pending", status
