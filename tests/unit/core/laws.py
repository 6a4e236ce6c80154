"""What holds for every step of a lease, whatever the world shows: money first, then trust."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from garrison.api.lease import STATUS_ADAPTER
from garrison.api.meta import FINALIZER
from garrison.api.money import parse_dollars
from garrison.api.parsing import dump, parse
from garrison.core.egress import digest
from garrison.core.integrity import patterns_digest
from garrison.core.lifecycle import (
    TOKEN_LIFE,
    AcceptBid,
    CloseDeployment,
    CreateDeployment,
    DeliverSecret,
    DepositEscrow,
    EnsureFinalizer,
    Observation,
    RemoveFinalizer,
    SealInstances,
    StartWorkload,
    Step,
)
from garrison.core.order import MIN_DEPOSIT
from garrison.core.replica import finished
from garrison.core.traffic import backends
from garrison.core.winding import RELEASED
from garrison.ports.market import BidState, DeploymentState, LeaseState
from garrison.ports.sentinel import SentinelState
from tests.builders import HORIZON
from tests.unit.core.inside import DIGEST
from tests.unit.core.observations import ceiling_of

Law: TypeAlias = Callable[[Observation, Step], None]


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
