"""A lease from its grant to its manifest: what is done, what is written, and what is never done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from garrison.api.lease import (
    AttemptStatus,
)
from garrison.api.money import MicroUSD
from garrison.core.lifecycle import (
    AcceptBid,
    CloseDeployment,
    CreateDeployment,
    EnsureFinalizer,
    SendManifest,
)
from garrison.core.replica import settle, step
from garrison.errors import (
    AuthError,
    FundsError,
    InvalidSpecError,
    RejectedError,
    UnavailableError,
    UnknownOutcomeError,
)
from garrison.ports.market import (
    BidState,
    DeploymentState,
    ForwardedPort,
    ServiceStatus,
)
from tests.builders import (
    HORIZON,
    NOW,
    account,
    at,
    bid,
    deployment,
    market_lease,
    provider,
    template,
)
from tests.unit.core.replicas import (
    ENDPOINT,
    MARKER,
    PORT,
    RECORD,
    create_intent,
    lease_intent,
    see,
    serving,
)


def test_nothing_is_paid_for_without_the_finalizer() -> None:
    o = see("Pending")
    bare = replace(o, lease=replace(o.lease, meta=replace(o.lease.meta, finalizers=())))
    assert step(bare).action == EnsureFinalizer()


def test_waits_for_a_grant_of_this_very_attempt() -> None:
    assert step(see("Pending", account=account())).status.phase == "Pending"
    assert step(see("Pending", status={"attempt": 1})).status.phase == "Pending"


def test_records_the_intent_before_it_creates() -> None:
    first = step(see("Pending"))
    assert first.action is None
    assert first.status.phase == "Ordering"
    assert first.status.intent == create_intent("fresh")


def test_orders_nothing_while_its_name_is_in_no_ledger() -> None:
    """Another operator dropped it while the object was being created; it is deleted soon."""
    waiting = step(see("Pending", unlisted=True))
    assert (waiting.action, waiting.status.phase, waiting.status.intent) == (None, "Pending", None)
    assert waiting.requeue is not None


def test_creates_once_with_the_token_and_looks_up_without_it() -> None:
    intent = {"intent": create_intent()}
    mine = step(see("Ordering", status=intent, holds_token=True))
    assert isinstance(mine.action, CreateDeployment)
    assert mine.action.order.marker == MARKER
    assert step(see("Ordering", status=intent)).action is None


def test_a_token_is_too_old_after_half_the_horizon() -> None:
    late = see(
        "Ordering", status={"intent": create_intent()}, holds_token=True, now=NOW + HORIZON / 2
    )
    assert step(late).action is None


def test_adopts_what_the_lookup_finds() -> None:
    found = step(see("Ordering", status={"intent": create_intent()}, deployment=deployment()))
    assert (found.status.phase, found.status.intent) == ("Bidding", None)
    assert found.status.deployment == RECORD


def test_repeats_a_create_only_after_the_horizon() -> None:
    before = see("Ordering", status={"intent": create_intent()}, now=at(89))
    after = see("Ordering", status={"intent": create_intent()}, now=at(90))
    assert step(before).status.intent is not None
    assert (step(after).status.phase, step(after).status.intent) == ("Pending", None)


@pytest.mark.parametrize(
    ("case", "value", "error", "phase", "has_intent", "reason"),
    [
        ("created", deployment(), None, "Bidding", False, None),
        ("unknown", None, UnknownOutcomeError("lost"), "Ordering", True, None),
        ("unavailable", None, UnavailableError("down"), "Ordering", True, None),
        ("refused", None, RejectedError("bad"), "Ordering", False, "Rejected"),
        ("below the unit", None, InvalidSpecError("dear"), "Ordering", False, "InvalidSpec"),
        ("not let in", None, AuthError("401"), "Ordering", False, "Unauthorized"),
        ("poor", None, FundsError("empty"), "Ordering", False, "InsufficientFunds"),
    ],
)
def test_outcomes_of_a_create(
    *,
    case: str,
    value: object,
    error: Exception | None,
    phase: str,
    has_intent: bool,
    reason: str | None,
) -> None:
    o = see("Ordering", status={"intent": create_intent()}, holds_token=True)
    after = settle(o, step(o), value, error).status
    assert (after.phase, after.intent is not None) == (phase, has_intent), case
    assert (after.failure.reason if after.failure else None) == reason


def test_chooses_at_once_when_everybody_has_bid() -> None:
    o = see("Bidding", status={"deployment": RECORD}, deployment=deployment(), bids=(bid(),))
    taken = step(o)
    assert taken.action is None
    assert taken.status.phase == "Leasing"
    assert taken.status.intent == lease_intent("fresh")
    assert [each.verdict for each in taken.status.bids] == ["Chosen"]


def test_collects_while_a_candidate_may_still_bid() -> None:
    two = {"p1": provider("p1"), "p2": provider("p2")}
    o = see(
        "Bidding",
        status={"deployment": RECORD},
        deployment=deployment(),
        bids=(bid(),),
        providers=two,
    )
    assert step(o).status.phase == "Bidding"
    assert step(replace(o, now=at(5))).status.phase == "Leasing"
    gone = {**two, "p2": provider("p2", online=False)}
    assert step(replace(o, providers=gone)).status.phase == "Leasing"


def test_no_bid_closes_the_order_and_tries_the_next_gpu_model() -> None:
    o = see(
        "Bidding",
        status={"deployment": RECORD},
        deployment=deployment(),
        template=template("h100", "a100"),
        now=at(60),
    )
    given_up = step(o).status
    assert given_up.phase == "Closing"
    assert given_up.failure is None
    assert given_up.earlier[0].gpu_model == "h100"
    closing = replace(o, lease=replace(o.lease, status=given_up))
    assert step(closing).action == CloseDeployment(deployment="100")
    closed = replace(closing, deployment=deployment(state=DeploymentState.CLOSED))
    after = step(closed).status
    assert (after.phase, after.attempt, after.model_index, after.deployment) == (
        "Pending",
        1,
        1,
        None,
    )


def test_the_last_alternative_fails_with_the_whole_chain_of_reasons() -> None:
    earlier = tuple(
        AttemptStatus(gpu_model=model, reason="NoBids", message="nobody bid", at=NOW)
        for model in ("h100", "a100")
    )
    o = see(
        "Closing",
        status={"deployment": RECORD, "earlier": earlier, "model_index": 1, "attempt": 1},
        template=template("h100", "a100"),
        deployment=deployment(state=DeploymentState.CLOSED),
    )
    after = step(o).status
    assert (after.phase, after.closed_at) == ("Failed", NOW)
    assert after.failure is not None
    assert after.failure.message.startswith("h100: nobody bid; a100: nobody bid; raise the price")
    assert after.failure.blame == "Nobody"


def test_an_unacceptable_bid_is_a_reason_of_its_own() -> None:
    o = see(
        "Bidding",
        status={"deployment": RECORD},
        deployment=deployment(),
        bids=(bid(price="9"),),
        now=at(60),
    )
    (attempt,) = step(o).status.earlier
    assert attempt.reason == "NoAcceptableBid"
    assert "p1 TooExpensive: above 2.00 $/h" in attempt.message


def test_a_deployment_that_somebody_closed_leads_to_nothing() -> None:
    gone = deployment(state=DeploymentState.CLOSED)
    for phase in ("Bidding", "Leasing"):
        failure = step(see(phase, status={"deployment": RECORD}, deployment=gone)).status.failure
        assert failure is not None
        assert (failure.reason, failure.blame) == ("DeploymentClosed", "Nobody")


def test_a_phase_of_a_newer_version_is_closed_and_named() -> None:
    failure = step(see("Levitating")).status.failure
    assert failure is not None
    assert failure.reason == "UnknownPhase"
    assert "upgrade the operator" in failure.message


def test_accepts_with_the_token_and_adopts_the_lease_that_exists() -> None:
    status = {"deployment": RECORD, "intent": lease_intent()}
    o = see("Leasing", status=status, deployment=deployment(), bids=(bid(),), holds_token=True)
    assert isinstance(step(o).action, AcceptBid)
    there = step(replace(o, deployment=deployment(market_lease()))).status
    assert (there.phase, there.provider, there.price_per_hour) == ("Deploying", "p1", "1.50")


def test_a_crash_before_accepting_names_the_bid_again_before_it_accepts() -> None:
    status = {"deployment": RECORD, "intent": lease_intent("lost")}
    o = see("Leasing", status=status, deployment=deployment(), bids=(bid(),), now=at(10))
    again = step(o)
    assert again.action is None
    assert again.status.intent is not None
    assert again.status.intent.token == "fresh"


def test_a_bid_that_is_gone_sends_it_back_to_the_bids() -> None:
    status = {"deployment": RECORD, "intent": lease_intent()}
    lost = bid(state=BidState.LOST)
    o = see("Leasing", status=status, deployment=deployment(), bids=(lost,), holds_token=True)
    assert (step(o).action, step(o).status.phase) == (None, "Bidding")


def test_a_bid_that_got_dearer_since_it_was_chosen_is_not_accepted() -> None:
    status = {"deployment": RECORD, "intent": lease_intent()}
    o = see("Leasing", status=status, deployment=deployment(), holds_token=True)
    same, dearer = replace(o, bids=(bid(),)), replace(o, bids=(bid(price="1.51"),))
    assert isinstance(step(same).action, AcceptBid)
    assert (step(dearer).action, step(dearer).status.phase) == (None, "Bidding")
    assert step(replace(same, ceiling=MicroUSD(1_499_999))).action is None


def test_a_dearer_lease_than_the_bid_is_given_up_and_blamed_on_the_provider() -> None:
    status = {"deployment": RECORD, "intent": lease_intent()}
    dear = deployment(market_lease(price="2.01"))
    failure = step(see("Leasing", status=status, deployment=dear)).status.failure
    assert failure is not None
    assert (failure.reason, failure.blame) == ("PriceAboveCeiling", "Provider")


def test_sends_the_manifest_until_the_port_is_forwarded() -> None:
    assert isinstance(step(serving("Deploying")).action, SendManifest)
    there = step(serving("Deploying", service=PORT)).status
    assert (there.phase, there.endpoint) == ("Verifying", ENDPOINT)


def test_an_unknown_port_of_the_providers_choice_is_not_taken() -> None:
    other = ServiceStatus(
        available=1, ports=(ForwardedPort(host="p1.example", port=22, external_port=31000),)
    )
    assert step(serving("Deploying", service=other)).status.phase == "Deploying"


def test_a_refused_manifest_fails_the_lease() -> None:
    o = serving("Deploying")
    failure = settle(o, step(o), None, RejectedError("hash")).status.failure
    assert failure is not None
    assert failure.reason == "ManifestRefused"
