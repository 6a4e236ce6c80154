"""What holds for every step of a lease, whatever the world shows: money first, then trust."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.api.lease import PHASES, STATUS_ADAPTER
from garrison.api.meta import FINALIZER
from garrison.api.money import parse_dollars
from garrison.api.parsing import dump, parse
from garrison.core.egress import digest
from garrison.core.integrity import Finding, Standing, patterns_digest
from garrison.core.lifecycle import (
    TOKEN_LIFE,
    AcceptBid,
    Action,
    CloseDeployment,
    CreateDeployment,
    DeliverSecret,
    DepositEscrow,
    Enrol,
    EnsureFinalizer,
    LookInside,
    Observation,
    PrepareBootstrap,
    RemoveFinalizer,
    SealInstances,
    SendManifest,
    SetEgress,
    StartBenchmark,
    StartWorkload,
    Step,
)
from garrison.core.order import MIN_DEPOSIT
from garrison.core.replica import finished, settle, step
from garrison.core.traffic import backends
from garrison.core.winding import RELEASED
from garrison.errors import FundsError, RejectedError, UnavailableError, UnknownOutcomeError
from garrison.ports.market import BidState, Deployment, DeploymentState, LeaseState
from garrison.ports.probe import BenchmarkFigures, ProbeOutcome
from garrison.ports.sentinel import EgressView, Enrolment, SentinelState, View
from tests.builders import HORIZON, account, bid, deployment, market_lease, template
from tests.unit.core.inside import DIGEST, IMAGE_DIGEST, INJECTION, LAUNCH
from tests.unit.core.observations import PORT, PROVIDERS, World, ceiling_of, with_status, worlds

Law: TypeAlias = Callable[[Observation, Step], None]

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


def spends_only_with_a_fresh_token_while_wanted(o: Observation, taken: Step) -> None:
    match taken.action:
        case CreateDeployment(token=token) | AcceptBid(token=token) | DepositEscrow(token=token):
            intent = o.status.intent
            assert o.holds_token
            assert intent is not None
            assert token == intent.token
            assert o.now - intent.at < HORIZON / 2
            assert o.status.failure is None
            assert not o.lease.meta.deleting
            assert FINALIZER in o.lease.meta.finalizers


def spends_only_under_the_ceiling(o: Observation, taken: Step) -> None:
    match taken.action:
        case CreateDeployment(order=order):
            assert order.max_price_per_hour <= ceiling_of(o)
        case AcceptBid(bid=chosen):
            assert chosen.price_per_hour <= ceiling_of(o)
            assert chosen.state is BidState.OPEN


def fills_only_an_escrow_that_shows_the_last_deposit(o: Observation, taken: Step) -> None:
    intent = taken.status.intent
    if intent is None or intent == o.status.intent or intent.action != "Deposit":
        return
    known, found = o.status.escrow, o.deployment
    last = known.top_up if known is not None else None
    settling = HORIZON + min(TOKEN_LIFE, HORIZON / 2)
    assert last is None or (o.deployment_at is not None and o.deployment_at - last.at >= settling)
    assert o.status.intent is None
    assert found is not None
    assert found.state is DeploymentState.ACTIVE
    assert found.escrow
    assert [each.state for each in found.leases] == [LeaseState.ACTIVE]
    assert o.balance is not None
    assert intent.amount is not None
    assert MIN_DEPOSIT <= parse_dollars(intent.amount) <= o.balance


def writes_an_intent_before_it_acts_on_it(o: Observation, taken: Step) -> None:
    intent = taken.status.intent
    if intent is not None and intent != o.status.intent:
        assert taken.action is None
        assert intent.token == o.token
        assert intent.at == o.now


def gives_a_deployment_up_only_when_its_close_is_verified(o: Observation, taken: Step) -> None:
    after = taken.status
    given_up = after.deployment is None or (o.status.closed_at is None and after.closed_at)
    if o.status.deployment is None or not given_up or after.close_reason == RELEASED:
        return
    if o.deployment is not None:
        assert o.deployment.state is DeploymentState.CLOSED
    else:
        assert o.now - o.status.deployment.ordered_at >= HORIZON


def lets_go_only_what_the_account_lists_as_released(o: Observation, taken: Step) -> None:
    after = taken.status
    if after.close_reason == RELEASED and after.closed_at is not None:
        assert o.account is not None
        assert after.deployment is not None
        assert after.deployment.id in o.account.status.released


def is_over_once_closed(o: Observation, taken: Step) -> None:
    if isinstance(taken.action, RemoveFinalizer):
        assert o.lease.meta.deleting
        assert o.status.closed_at is not None
    if o.status.closed_at is not None:
        assert taken.status.closed_at == o.status.closed_at
        assert isinstance(taken.action, RemoveFinalizer | EnsureFinalizer | None)


def forgets_no_create_that_may_still_appear(o: Observation, taken: Step) -> None:
    intent, after = o.status.intent, taken.status
    if intent is None or intent.action != "CreateDeployment" or o.holds_token:
        return
    if after.intent is None and after.deployment is None:
        assert o.now - intent.at >= HORIZON * 1.5


def closes_only_its_own_deployment(o: Observation, taken: Step) -> None:
    if isinstance(taken.action, CloseDeployment):
        assert o.status.deployment is not None
        assert taken.action.deployment == o.status.deployment.id
        assert o.status.phase == "Closing"


def becomes_ready_only_by_probe_and_benchmark(o: Observation, taken: Step) -> None:
    after = taken.status
    if after.phase != "Ready" or o.status.phase == "Ready" or after.failure is not None:
        return
    if o.status.phase == "Verifying":
        assert o.track.healthy
        assert not o.unsafe
        assert o.benchmark.api == "None"
    else:
        assert after.benchmark is not None
        assert after.benchmark.passed


def starts_only_what_is_enrolled_and_guarded(o: Observation, taken: Step) -> None:
    if not isinstance(taken.action, StartWorkload):
        return
    (view,) = o.views
    known, guard = o.status.sentinel, o.status.egress
    assert known is not None
    assert (view.instance, view.key, view.digest) == (known.instance, known.key, DIGEST)
    assert guard is not None
    assert view.egress is not None
    assert view.egress.version == guard.version
    assert guard.digest == digest(o.egress.spec)
    assert view.egress.level == "Enforced"
    for wanted in o.secrets:
        assert wanted.version is not None
        assert view.secrets.get(wanted.name, 0) >= wanted.version


def becomes_ready_only_after_the_sealed_start(o: Observation, taken: Step) -> None:
    after = taken.status
    if not o.verified or after.phase != "Ready" or o.status.phase != "Verifying":
        return
    (view,) = o.views
    assert view.state is SentinelState.RUNNING
    assert view.egress is not None
    assert after.egress is not None
    assert view.egress.version == after.egress.version == after.egress.in_force
    assert after.egress.level == "Enforced"


def hands_nothing_over_before_the_inside_is_as_it_should_be(o: Observation, taken: Step) -> None:
    asked = o.integrity.asked
    if asked is None or not isinstance(taken.action, DeliverSecret | StartWorkload):
        return
    if o.views[0].state is not SentinelState.ENROLLED:
        return
    record = taken.status.integrity
    assert record is not None
    assert (record.state, record.instance) == ("Verified", o.views[0].instance)
    assert record.patterns == patterns_digest(asked.paths)


def becomes_ready_only_after_a_look_at_what_runs(o: Observation, taken: Step) -> None:
    after, asked = taken.status, o.integrity.asked
    if after.phase != "Ready" or o.status.phase != "Verifying" or asked is None:
        return
    record = after.integrity
    assert record is not None
    assert (record.stage, record.instance) == ("Running", o.views[0].instance)
    assert record.state == "Verified" or (record.state, asked.on_drift) == ("Drifted", "Alert")


def claims_the_image_only_when_it_was_read(o: Observation, taken: Step) -> None:
    before, after = o.status.integrity, taken.status.integrity
    fresh = after is not None and (before is None or before.reference != after.reference)
    if after is not None and fresh and after.reference == "Image":
        assert after.reference_digest == o.integrity.image != ""


def blames_a_drift_only_on_a_finding(o: Observation, taken: Step) -> None:
    failure = taken.status.failure
    if failure is None or failure == o.status.failure or failure.reason != "IntegrityDrift":
        return
    record = taken.status.integrity
    assert record is not None
    assert record.state == "Drifted"
    assert failure.blame == "Provider"


def seals_copies_and_blames_their_host(o: Observation, taken: Step) -> None:
    if isinstance(taken.action, SealInstances):
        assert len(o.views) > 1
        assert taken.status.failure is not None
        assert taken.status.failure.blame == "Provider"


def gives_no_traffic_to_what_failed_or_leaves(o: Observation, taken: Step) -> None:
    for each in backends([replace(o.lease, status=taken.status)]):
        assert taken.status.failure is None
        assert each.draining or not o.lease.meta.deleting


def keeps_the_first_failure(o: Observation, taken: Step) -> None:
    if o.status.failure is not None:
        assert taken.status.failure == o.status.failure


def writes_what_the_schema_takes(o: Observation, taken: Step) -> None:
    status = finished(o, taken.status)
    assert parse(STATUS_ADAPTER, dump(STATUS_ADAPTER, status), "status") == status


LAWS: tuple[Law, ...] = (
    spends_only_with_a_fresh_token_while_wanted,
    spends_only_under_the_ceiling,
    fills_only_an_escrow_that_shows_the_last_deposit,
    writes_an_intent_before_it_acts_on_it,
    gives_a_deployment_up_only_when_its_close_is_verified,
    lets_go_only_what_the_account_lists_as_released,
    is_over_once_closed,
    forgets_no_create_that_may_still_appear,
    closes_only_its_own_deployment,
    becomes_ready_only_by_probe_and_benchmark,
    starts_only_what_is_enrolled_and_guarded,
    becomes_ready_only_after_the_sealed_start,
    hands_nothing_over_before_the_inside_is_as_it_should_be,
    becomes_ready_only_after_a_look_at_what_runs,
    claims_the_image_only_when_it_was_read,
    blames_a_drift_only_on_a_finding,
    seals_copies_and_blames_their_host,
    gives_no_traffic_to_what_failed_or_leaves,
    keeps_the_first_failure,
    writes_what_the_schema_takes,
)


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
