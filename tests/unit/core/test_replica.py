"""The life of a lease, step by step: what is done, what is written, and what is never done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from garrison.api.account import AccountStatus, Grant
from garrison.api.lease import (
    AttemptStatus,
    BenchmarkStatus,
    DeploymentStatus,
    EndpointStatus,
    Intent,
    LeaseFailure,
    LeaseStatus,
    TimingStatus,
)
from garrison.api.money import MicroUSD
from garrison.api.workload import Benchmark, Health
from garrison.core.health import Track
from garrison.core.lifecycle import (
    AcceptBid,
    CloseDeployment,
    CreateDeployment,
    EnsureFinalizer,
    Observation,
    RemoveFinalizer,
    SendManifest,
    StartBenchmark,
)
from garrison.core.replica import finished, settle, step
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
    LeaseState,
    ServiceStatus,
)
from garrison.ports.probe import BenchmarkFigures, ProbeOutcome
from tests.builders import (
    HORIZON,
    LEASE_UID,
    NOW,
    account,
    at,
    bid,
    deployment,
    lease,
    market_lease,
    observation,
    provider,
    template,
)

MARKER = deployment().marker
RECORD = DeploymentStatus(id="100", marker=MARKER, ordered_at=NOW)
PORT = ServiceStatus(
    available=1, ports=(ForwardedPort(host="p1.example", port=8000, external_port=31000),)
)
ENDPOINT = EndpointStatus(host="p1.example", port=31000)
HEALTHY = Track(probed_at=NOW, healthy_at=NOW, outcome=ProbeOutcome.HEALTHY)
FIGURES = BenchmarkFigures(
    model="m", requests=4, time_to_first_token_ms=120, millitokens_per_second=65_000
)


def granted(attempt: int = 0, price: str = "2") -> AccountStatus:
    grant = Grant(
        lease=LEASE_UID,
        namespace="prod",
        name="chat-1",
        attempt=attempt,
        price_per_hour=price,
        at=NOW,
    )
    return AccountStatus(grants=(grant,))


def create_intent(token: str = "mine") -> Intent:
    return Intent(action="CreateDeployment", token=token, at=NOW, marker=MARKER)


def lease_intent(token: str = "mine") -> Intent:
    return Intent(
        action="CreateLease",
        token=token,
        at=NOW,
        marker=MARKER,
        deployment="100",
        provider="p1",
        gseq=1,
        oseq=1,
        price_per_hour="1.50",
    )


def see(phase: str, *, status: dict[str, Any] | None = None, **fields: Any) -> Observation:
    fields.setdefault("account", account(granted()))
    return observation(lease(phase, **(status or {})), **fields)


def leased(phase: str, **status: Any) -> dict[str, Any]:
    return {
        "deployment": RECORD,
        "provider": "p1",
        "gseq": 1,
        "oseq": 1,
        "endpoint": ENDPOINT,
        "timings": (TimingStatus(phase=phase, at=NOW),),
        **status,
    }


def serving(phase: str, **fields: Any) -> Observation:
    status = fields.pop("status", {})
    fields.setdefault("deployment", deployment(market_lease()))
    return see(phase, status=leased(phase, **status), **fields)


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


def test_is_ready_only_after_health_and_benchmark() -> None:
    measured = Benchmark(api="OpenAI", min_tokens_per_second=60)
    assert step(serving("Verifying", service=PORT)).status.phase == "Verifying"
    healthy = serving("Verifying", track=HEALTHY, service=PORT)
    assert step(healthy).status.phase == "Ready"
    assert step(replace(healthy, benchmark=measured)).status.phase == "Benchmarking"
    waiting = serving("Benchmarking", track=HEALTHY, benchmark=measured)
    assert step(waiting).action == StartBenchmark()
    assert step(replace(waiting, measuring=True)).action is None
    assert step(replace(waiting, figures=FIGURES)).status.phase == "Ready"


@pytest.mark.parametrize(
    ("case", "phase", "fields", "reason", "blame"),
    [
        (
            "too slow",
            "Benchmarking",
            {"benchmark": Benchmark(api="OpenAI", min_tokens_per_second=66), "figures": FIGURES},
            "BenchmarkFailed",
            "Undecided",
        ),
        (
            "no answer is a failure, never a skip",
            "Benchmarking",
            {"benchmark": Benchmark(api="OpenAI"), "measure_error": "no token came"},
            "BenchmarkNoAnswer",
            "Undecided",
        ),
        (
            "start-up grace is over",
            "Verifying",
            {"health": Health(startup_grace_seconds=30), "now": at(31)},
            "StartupFailed",
            "Undecided",
        ),
        (
            "a private address",
            "Verifying",
            {"unsafe": "10.0.0.1 is private"},
            "UnsafeDestination",
            "Provider",
        ),
        (
            "the provider closed the lease",
            "Ready",
            {
                "deployment": deployment(
                    market_lease(state=LeaseState.CLOSED, reason="lease_closed_reason_unstable")
                )
            },
            "LeaseClosed",
            "Provider",
        ),
        (
            "escrow ran out",
            "Ready",
            {"deployment": deployment(market_lease(state=LeaseState.INSUFFICIENT_FUNDS))},
            "EscrowExhausted",
            "Nobody",
        ),
        (
            "unhealthy",
            "Ready",
            {"track": Track(failures=3, probed_at=NOW)},
            "Unhealthy",
            "Undecided",
        ),
        (
            "unhealthy, and its gateway is silent",
            "Ready",
            {"track": Track(failures=3, probed_at=NOW), "gateway_down_since": NOW},
            "ProviderUnreachable",
            "Provider",
        ),
        (
            "nothing starts",
            "Deploying",
            {"now": at(901), "service": ServiceStatus(available=0)},
            "DeployTimeout",
            "Undecided",
        ),
        (
            "the gateway stays silent",
            "Deploying",
            {"now": at(61), "gateway_down_since": NOW, "gateway_error": "refused"},
            "ProviderUnreachable",
            "Provider",
        ),
    ],
)
def test_failures_and_their_blame(
    case: str, phase: str, fields: dict[str, Any], reason: str, blame: str
) -> None:
    failure = step(serving(phase, **fields)).status.failure
    assert failure is not None, case
    assert (failure.reason, failure.blame) == (reason, blame)


def test_a_silent_market_does_not_end_what_serves() -> None:
    assert step(serving("Ready", deployment=None, track=HEALTHY)).status.failure is None


def test_a_reclaim_notice_is_written_down_and_serving_goes_on() -> None:
    notice = market_lease(state=LeaseState.RECLAIMING, reclaim_deadline=at(3600))
    after = step(serving("Ready", deployment=deployment(notice), track=HEALTHY)).status
    assert (after.phase, after.reclaim_deadline) == ("Ready", at(3600))


def test_the_benchmark_repeats_when_it_is_due() -> None:
    last = BenchmarkStatus(
        passed=True,
        tokens_per_second="65.0",
        time_to_first_token_milliseconds=1,
        requests=4,
        at=NOW,
    )
    spec = Benchmark(api="OpenAI", repeat_every_seconds=60)
    o = serving("Ready", status={"benchmark": last}, benchmark=spec, track=HEALTHY)
    assert step(replace(o, now=at(59))).action is None
    assert step(replace(o, now=at(60))).action == StartBenchmark()


def deleted(phase: str, **fields: Any) -> Observation:
    status = {**leased(phase), **fields.pop("status", {})}
    return see(phase, status={**status, "deleting": True}, **fields)


def test_a_deleted_replica_drains_closes_is_verified_and_then_goes() -> None:
    o = deleted("Ready", drain_seconds=30, deployment=deployment(market_lease()))
    draining = step(o).status
    assert (draining.phase, draining.drain_until) == ("Draining", at(30))
    o = _next(o, draining)
    assert step(o).status.phase == "Draining"
    o = replace(o, now=at(30))
    closing = step(o)
    assert (closing.action, closing.status.phase) == (None, "Closing")
    o = _next(o, closing.status)
    assert step(o).action == CloseDeployment(deployment="100")
    assert step(o).status.closed_at is None
    o = replace(o, deployment=deployment(state=DeploymentState.CLOSED))
    closed = step(o).status
    assert (closed.phase, closed.closed_at) == ("Closed", at(30))
    o = _next(o, closed)
    assert step(o).action is None
    assert step(replace(o, recorded=True)).action == RemoveFinalizer()
    assert step(replace(o, now=at(60))).action == RemoveFinalizer()


def _next(o: Observation, status: LeaseStatus) -> Observation:
    return replace(o, lease=replace(o.lease, status=status))


def test_deleting_waits_for_a_create_that_may_still_appear() -> None:
    o = deleted("Ordering", status={"deployment": None, "intent": create_intent()})
    assert step(o).status.intent is not None
    assert step(replace(o, deployment=deployment())).status.deployment == RECORD
    over = step(replace(o, now=NOW + HORIZON * 1.5)).status
    assert (over.intent, over.closed_at) == (None, None)


def test_a_create_that_was_never_started_need_not_be_waited_for() -> None:
    o = deleted(
        "Ordering", status={"deployment": None, "intent": create_intent()}, holds_token=True
    )
    assert step(o).status.intent is None


def test_an_unknown_deployment_counts_as_closed_only_after_the_horizon() -> None:
    o = deleted("Closing", deployment=None)
    assert step(o).status.closed_at is None
    assert step(replace(o, now=NOW + HORIZON * 1.5)).status.closed_at is not None


def test_a_failed_lease_closes_at_once_and_stays_for_the_record() -> None:
    failure = LeaseFailure(reason="Unhealthy", blame="Undecided", at=NOW)
    o = serving("Ready", status={"failure": failure}, drain_seconds=30)
    closing = step(o).status
    assert closing.phase == "Closing"
    after = step(_next(replace(o, deployment=deployment(state=DeploymentState.CLOSED)), closing))
    assert (after.status.phase, after.status.closed_at) == ("Failed", NOW)
    assert step(_next(o, after.status)).action is None


def test_orphaned_leases_go_only_once_the_account_lists_them_as_released() -> None:
    o = deleted("Ready", deployment=deployment(market_lease()))
    o = replace(o, orphaned=True)
    leaving = step(o)
    assert (leaving.action, leaving.status.close_reason) == (None, "Released")
    assert leaving.status.closed_at is None
    listed = replace(granted(), released=("100",))
    done = step(_next(replace(o, account=account(listed)), leaving.status)).status
    assert (done.close_reason, done.closed_at) == ("Released", NOW)


def test_a_status_repeats_itself_at_rest() -> None:
    o = serving("Ready", track=HEALTHY)
    once = finished(o, step(o).status)
    again = finished(_next(replace(o, now=at(5)), once), step(_next(o, once)).status)
    assert again == once
