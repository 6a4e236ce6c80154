"""Escrow that does not run out, and is never filled twice for one need."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.api.account import (
    Account,
    AccountStatus,
    Backend,
    ChainBackend,
    MintStatus,
    Treasury,
)
from garrison.api.lease import (
    DeploymentStatus,
    Intent,
    LeaseEscrow,
    LeaseFailure,
    LeaseStatus,
    TopUpStatus,
)
from garrison.api.meta import SecretKeyRef, condition
from garrison.api.money import MicroUSD, parse_dollars
from garrison.controllers.stories import lease_notes
from garrison.core.lifecycle import DepositEscrow, Observation, Step, settled_by
from garrison.core.minting import MINT_EVERY, REFUSED_PAUSE, Funds, wanted
from garrison.core.order import MIN_DEPOSIT
from garrison.core.treasury import (
    FUNDED,
    affordable,
    deposited,
    is_due,
    kept,
    lasting,
    least_runway,
    missing,
    wanted_runway,
)
from garrison.errors import AuthError, FundsError, UnavailableError, UnknownOutcomeError
from garrison.ports.market import DeploymentState, LeaseState, Mintage
from tests.builders import NOW, account, at, deployment, lease, market_lease, observation

HOUR = timedelta(hours=1)
RICH = MicroUSD(1_000_000_000)
RECORD = DeploymentStatus(id="100", marker=deployment().marker, ordered_at=NOW)
DONE = TopUpStatus(amount="3.00", left_before="1.00", at=NOW, outcome="Deposited")
SETTLED = settled_by(NOW, observation(lease()).traits)
PRICE = "1.5"


def see(
    escrow: str | None = "3",
    *,
    state: LeaseState = LeaseState.ACTIVE,
    open_: bool = True,
    treasury: Treasury | None = None,
    lags: bool = False,
    status: dict[str, Any] | None = None,
    **fields: Any,
) -> Observation:
    """A serving lease for 1.50 $/h, with so much left in escrow."""
    held = deployment(
        market_lease(price=PRICE, state=state),
        state=DeploymentState.ACTIVE if open_ else DeploymentState.CLOSED,
        escrow=parse_dollars(escrow) if escrow is not None else None,
    )
    stated: dict[str, Any] = {
        "phase": "Ready",
        "deployment": RECORD,
        "provider": "p1",
        "price_per_hour": "1.50",
        **(status or {}),
    }
    of = lease(**stated)
    now = fields.pop("now", NOW)
    base = observation(
        of,
        now=now,
        deployment=held,
        deployment_at=now,
        balance=RICH,
        account=account(treasury=treasury or Treasury()),
    )
    return replace(base, traits=replace(base.traits, escrow_lags=lags), **fields)


def after(o: Observation) -> LeaseStatus:
    return kept(o, Step(status=o.status, requeue=15.0)).status


def intended(now: datetime = NOW, before: str = "3.00", amount: str = "33.00") -> dict[str, Any]:
    intent = Intent(
        action="Deposit",
        token="mine",
        at=now,
        marker=deployment().marker,
        deployment="100",
        amount=amount,
    )
    planned = TopUpStatus(amount=amount, left_before=before, at=now)
    return {"intent": intent, "escrow": LeaseEscrow(lasts_until=at(7200), top_up=planned)}


@pytest.mark.parametrize(
    ("case", "o", "due"),
    [
        ("two hours are left", see("3"), True),
        ("six hours are left", see("9"), False),
        ("a moment less", see("8.999"), True),
        ("it is off", see("3", treasury=Treasury(min_runway_hours=0)), False),
        ("another minimum", see("3", treasury=Treasury(min_runway_hours=2)), False),
        ("no account", see("3", account=None), False),
        ("the market does not say", see(None), False),
        ("overdrawn", see("0"), False),
        ("closed", see("3", open_=False), False),
        ("reclaiming", see("3", state=LeaseState.RECLAIMING), False),
        ("ended", see("3", state=LeaseState.INSUFFICIENT_FUNDS), False),
        ("an older reading", see("3", deployment_at=at(-1)), False),
        (
            "failed",
            see("3", status={"failure": LeaseFailure(reason="X", blame="Nobody", at=NOW)}),
            False,
        ),
        ("leaving", see("3", status={"phase": "Draining"}), False),
        ("deleted", see("3", status={"deleting": True}), False),
        ("intended already", see("3", status=intended()), False),
        ("just deposited", see("3", status={"escrow": LeaseEscrow(top_up=DONE)}), False),
        (
            "just before the deposit must show",
            see(
                "3",
                status={"escrow": LeaseEscrow(top_up=DONE)},
                now=SETTLED - timedelta(seconds=1),
            ),
            False,
        ),
        (
            "the deposit would show",
            see("3", status={"escrow": LeaseEscrow(top_up=DONE)}, now=SETTLED),
            True,
        ),
    ],
)
def test_when_a_top_up_is_due(case: str, o: Observation, due: bool) -> None:
    assert is_due(o) is due, case


@pytest.mark.parametrize(
    ("balance", "amount"),
    [
        (RICH, "33.00"),
        (MicroUSD(33_000_000), "33.00"),
        (MicroUSD(7_000_000), "7.00"),
        (MIN_DEPOSIT, "0.50"),
        (MicroUSD(499_999), None),
        (MicroUSD(0), None),
        (None, None),
    ],
)
def test_what_is_missing_is_intended_as_far_as_the_account_can_pay(
    balance: MicroUSD | None, amount: str | None
) -> None:
    """24 hours are wanted, 2 are left: 22 at 1.50."""
    status = after(see("3", balance=balance))
    if amount is None:
        assert status.intent is None
        return
    assert status.intent is not None
    assert (status.intent.action, status.intent.deployment) == ("Deposit", "100")
    assert (status.intent.amount, status.intent.token) == (amount, "fresh")
    assert status.escrow is not None
    assert status.escrow.top_up == TopUpStatus(amount=amount, left_before="3.00", at=NOW)
    assert status.escrow.lasts_until == at(7200)


def test_an_account_that_cannot_pay_is_told_with_the_hours_left() -> None:
    found = condition(after(see("3", balance=MicroUSD(0))).conditions, FUNDED)
    assert found is not None
    assert (found.status, found.reason) == ("False", "RunwayShort")
    assert "2 more hours" in found.message
    assert "add credit" in found.message


def test_a_deposit_needs_the_token_and_is_sent_once() -> None:
    with_token = see("3", status=intended(), holds_token=True)
    taken = kept(with_token, Step(status=with_token.status))
    assert taken.action == DepositEscrow(
        token="mine", deployment="100", amount=MicroUSD(33_000_000)
    )
    without = replace(with_token, holds_token=False)
    assert kept(without, Step(status=without.status)).action is None
    late = replace(with_token, now=at(31), deployment_at=at(31))
    assert kept(late, Step(status=late.status)).action is None


def test_what_the_phase_does_goes_first() -> None:
    o = see("3", status=intended(), holds_token=True)
    busy = Step(status=o.status, action=DepositEscrow(token="", deployment="", amount=RICH))
    assert kept(o, busy) is busy
    ending = replace(o.status, failure=LeaseFailure(reason="Unhealthy", blame="Nobody", at=NOW))
    assert kept(o, Step(status=ending)).status is ending


@pytest.mark.parametrize(
    ("error", "outcome", "is_open", "reason"),
    [
        (None, "Deposited", False, "Funded"),
        (FundsError("empty"), "Refused", False, "InsufficientFunds"),
        (AuthError("no key"), "Refused", False, "Unauthorized"),
        (UnavailableError("down"), "Intended", True, None),
        (UnknownOutcomeError("lost"), "Intended", True, None),
    ],
)
def test_the_outcome_of_a_deposit(
    error: Exception | None, outcome: str, is_open: bool, reason: str | None
) -> None:
    o = see("3", status=intended(), holds_token=True)
    status = deposited(o, o.status, error).status
    assert status.escrow is not None
    assert status.escrow.top_up is not None
    assert status.escrow.top_up.outcome == outcome
    assert (status.intent is not None) is is_open
    found = condition(status.conditions, FUNDED)
    assert (found.reason if found is not None else None) == reason
    if error is None:
        assert status.escrow.lasts_until == at(7200) + 22 * HOUR


@pytest.mark.parametrize("lags", [False, True])
@pytest.mark.parametrize(
    ("escrow", "outcome", "until"),
    [
        ("36", "Deposited", at(7200) + 22 * HOUR),
        ("2.9", "NotSeen", None),
        ("3", "NotSeen", None),
    ],
)
def test_an_unknown_outcome_is_read_off_the_escrow(
    escrow: str, outcome: str, until: datetime | None, lags: bool
) -> None:
    waiting = see(escrow, status=intended(), now=SETTLED - timedelta(seconds=1), lags=lags)
    assert after(waiting).intent is not None
    status = after(see(escrow, status=intended(), now=SETTLED, lags=lags))
    assert status.intent is None
    assert status.escrow is not None
    assert status.escrow.top_up is not None
    assert status.escrow.top_up.outcome == outcome
    if until is not None:
        assert status.escrow.lasts_until == until


def test_a_reading_that_lags_never_extends_an_escrow() -> None:
    """Rent was collected long ago: four hours later the same 9 $ look like six more hours."""
    known = {"escrow": LeaseEscrow(lasts_until=at(6 * 3600))}
    later = at(4 * 3600)
    assert not is_due(see("9", status=known, now=later))
    assert is_due(see("9", status=known, now=later, lags=True))
    status = after(see("9", status=known, now=later, lags=True))
    assert status.intent is not None
    assert status.intent.amount == "33.00"


def test_a_top_up_and_short_money_are_one_event_each() -> None:
    o = see("3", status=intended(), holds_token=True)
    done = deposited(o, o.status, None).status
    assert [each.reason for each in lease_notes(o.lease, done)] == ["ToppedUp"]
    assert lease_notes(replace(o.lease, status=done), done) == ()
    poor = see("3", balance=MicroUSD(0))
    short = after(poor)
    assert [(each.type, each.reason) for each in lease_notes(poor.lease, short)] == [
        ("Warning", "RunwayShort")
    ]
    assert lease_notes(replace(poor.lease, status=short), short) == ()


def test_the_end_of_the_escrow_is_no_ticker() -> None:
    first = after(see("90"))
    assert first.escrow is not None
    o = see("90.1", status={"escrow": first.escrow})
    assert after(o).escrow == first.escrow
    moved = after(see("91", status={"escrow": first.escrow})).escrow
    assert moved != first.escrow


def test_a_long_horizon_makes_the_least_runway_longer() -> None:
    treasury = Treasury(min_runway_hours=1)
    assert least_runway(treasury, timedelta(seconds=150)) == HOUR
    assert least_runway(treasury, HOUR) == 4 * HOUR
    assert wanted_runway(Treasury(deposit_hours=1, min_runway_hours=6)) == 7 * HOUR


def chain_account(mint: MintStatus | None = None, *, auto_mint: bool = True) -> Account:
    chain = ChainBackend(key_secret_ref=SecretKeyRef(name="key"), auto_mint=auto_mint)
    return account(AccountStatus(mint=mint), backend=Backend(type="Chain", chain=chain))


def funds(available: int, looked: datetime = NOW, **offer: Any) -> Funds:
    made = {"least": MicroUSD(10_000_000), "most": MicroUSD(500_000_000), **offer}
    return Funds(at=looked, available=MicroUSD(available), mintage=Mintage(**made))


SENT = MintStatus(amount="10.00", token="t", at=NOW, outcome="Sent")
REFUSED = replace(SENT, outcome="Refused", message="the oracle is down")
UNKNOWN = replace(SENT, outcome="Unknown")
INTENDED = replace(SENT, outcome="Intended")
LATER = NOW + MINT_EVERY
SOON = NOW + REFUSED_PAUSE


@pytest.mark.parametrize(
    ("case", "of", "found", "now", "amount"),
    [
        ("48 dollars a day, 8 are there", chain_account(), funds(8_000_000), NOW, 40_000_000),
        ("enough", chain_account(), funds(48_000_000), NOW, None),
        ("the least", chain_account(), funds(47_000_000), NOW, 10_000_000),
        (
            "as far as the coins go",
            chain_account(),
            funds(0, most=MicroUSD(20_000_000)),
            NOW,
            20_000_000,
        ),
        ("too few coins", chain_account(), funds(0, most=MicroUSD(9_999_999)), NOW, None),
        ("not asked for", chain_account(auto_mint=False), funds(0), NOW, None),
        ("Console", account(), funds(0), NOW, None),
        ("one is being decided", chain_account(), funds(0, is_pending=True), NOW, None),
        ("halted", chain_account(), funds(0, problem="halted"), NOW, None),
        ("just minted", chain_account(SENT), funds(0, LATER), LATER - HOUR / 60, None),
        ("an old look", chain_account(SENT), funds(0, NOW), LATER, None),
        ("an hour later", chain_account(SENT), funds(0, LATER), LATER, 48_000_000),
        ("refused just now", chain_account(REFUSED), funds(0, SOON), SOON - HOUR / 60, None),
        ("refused a while ago", chain_account(REFUSED), funds(0, SOON), SOON, 48_000_000),
        ("refused, an old look", chain_account(REFUSED), funds(0, NOW - HOUR), SOON, None),
        ("nobody knows, soon", chain_account(UNKNOWN), funds(0, SOON), SOON, None),
        ("perhaps not asked for", chain_account(INTENDED), funds(0, SOON), SOON, None),
    ],
)
def test_what_is_minted(
    case: str, of: Account, found: Funds, now: datetime, amount: int | None
) -> None:
    assert wanted(of, found, MicroUSD(2_000_000), now) == amount, case


prices = st.integers(1, 10**13).map(MicroUSD)
escrows = st.integers(1, 10**15).map(MicroUSD)


@given(
    price=prices, escrow=escrows, least=st.integers(1, 720), hours=st.integers(1, 720),
    balance=st.integers(0, 10**15).map(MicroUSD),
)  # fmt: skip
@settings(max_examples=500)
def test_a_top_up_is_what_is_missing_and_never_more_than_there_is(
    price: MicroUSD, escrow: MicroUSD, least: int, hours: int, balance: MicroUSD
) -> None:
    treasury = Treasury(deposit_hours=hours, min_runway_hours=least)
    wanted = wanted_runway(treasury)
    amount = missing(lasting(escrow, price), wanted, price)
    assert amount >= MIN_DEPOSIT
    filled = lasting(MicroUSD(escrow + amount), price)
    assert filled >= wanted - timedelta(microseconds=1)
    if amount > MIN_DEPOSIT:
        assert escrow + amount <= price * (wanted // HOUR) + price // 3600 + 1
    assert wanted > least * HOUR, "a top-up leaves no need"
    paid = affordable(amount, balance)
    assert paid is None or MIN_DEPOSIT <= paid <= min(amount, balance)
