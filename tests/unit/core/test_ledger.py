"""An account's ledger as a game: leases come, order, cost, close and go; ceilings hold throughout."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garrison.api.account import (
    STATUS_ADAPTER,
    Account,
    AccountStatus,
    EscrowStatus,
    Grant,
    Limits,
    Stranger,
    Treasury,
)
from garrison.api.lease import DeploymentStatus, Intent, Lease
from garrison.api.meta import condition
from garrison.api.money import MicroUSD, format_dollars, parse_dollars
from garrison.api.parsing import dump, parse
from garrison.core.budget import RATE_WINDOW, reserved
from garrison.core.ledger import MAX_RELEASED, MarketView, Standing, standing, summarise
from garrison.core.winding import RELEASED
from garrison.ports.market import Balance
from tests.builders import NOW, account, at, lease, limits, meta

REACHED = MarketView(balance=Balance(available=MicroUSD(50_000_000)), error="", error_reason="")


def numbered(number: int, phase: str = "Pending", **status: Any) -> Lease:
    made = lease(phase, name=f"chat-{number:03}", uid=f"u{number:03}", **status)
    return replace(made, meta=replace(made.meta, created_at=at(number)))


def looked(
    of: Account,
    leases: list[Lease],
    price: str = "1",
    now: datetime = NOW,
    gone: frozenset[str] = frozenset(),
) -> Standing:
    ceilings = {each.meta.uid: parse_dollars(price) for each in leases}
    return standing(of, leases, ceilings, gone, now)


def after(of: Account, seen: Standing, now: datetime = NOW) -> Account:
    return replace(of, status=summarise(of, seen, REACHED, (), now))


def grant(uid: str, price: str = "2", attempt: int = 0) -> Grant:
    return Grant(
        lease=uid, namespace="prod", name=uid, attempt=attempt, price_per_hour=price, at=NOW
    )


def test_waiting_leases_are_served_in_the_order_of_creation() -> None:
    waiting = [numbered(3), numbered(1), numbered(2)]
    seen = looked(account(limits=limits(leases=2)), waiting)
    assert [each.lease for each in seen.grants] == ["u001", "u002"]
    assert seen.open_leases == 2, "what waits is not open"
    assert seen.refusal is not None
    assert seen.refusal.reason == "TooManyLeases"


def test_a_leased_grant_holds_what_the_lease_costs_and_a_closed_one_goes() -> None:
    of = account(AccountStatus(grants=(grant("u001"), grant("u002"), grant("u003"))))
    leases = [
        numbered(1, "Ready", price_per_hour="1.50"),
        numbered(2, "Closed", closed_at=NOW),
        numbered(3, "Bidding"),
    ]
    held = {each.lease: each.price_per_hour for each in looked(of, leases).grants}
    assert held == {"u001": "1.50", "u003": "2"}


def test_a_grant_without_an_object_is_kept_until_the_object_is_known_to_be_gone() -> None:
    of = account(AccountStatus(grants=(grant("u001"),)))
    assert [each.lease for each in looked(of, []).grants] == ["u001"]
    assert looked(of, [], gone=frozenset({"u001"})).grants == ()


@pytest.mark.parametrize(("age", "granted"), [(10, True), (10.1, False)])
def test_nothing_is_granted_while_a_create_is_unknown(age: float, granted: bool) -> None:
    intent = Intent(action="CreateDeployment", token="t", at=NOW, marker="m")
    leases = [numbered(1, "Ordering", intent=intent), numbered(2)]
    assert bool(looked(account(), leases, now=at(age)).grants) == granted


def test_an_account_that_is_being_deleted_grants_nothing() -> None:
    of = account()
    assert looked(replace(of, meta=replace(of.meta, deleting=True)), [numbered(1)]).grants == ()


def test_what_is_released_is_remembered_and_the_list_is_bounded() -> None:
    record = DeploymentStatus(id="100", marker="m", ordered_at=NOW)
    leaving = numbered(
        1, "Ready", deployment=record, close_reason=RELEASED, deleting=True, provider="p1"
    )
    of = account(AccountStatus(released=tuple(str(each) for each in range(MAX_RELEASED))))
    released = looked(of, [leaving]).released
    assert released[-1] == "100"
    assert len(released) == MAX_RELEASED
    again = replace(of, status=replace(of.status, released=released))
    assert looked(again, [leaving]).released == released


@pytest.mark.parametrize(
    ("case", "market", "strangers", "expected"),
    [
        ("well", REACHED, (), {"Ready": "Reachable", "Funded": "Funded", "Runway": "Enough"}),
        ("unhindered", REACHED, (), {"WithinLimits": "WithinLimits"}),
        ("not read", None, (), {"Ready": "NotRead", "Funded": "NotRead"}),
        (
            "refused",
            MarketView(balance=None, error="the API key is refused", error_reason="AuthFailed"),
            (),
            {"Ready": "AuthFailed", "Funded": "NotRead"},
        ),
        (
            "empty",
            MarketView(balance=Balance(available=MicroUSD(0)), error="", error_reason=""),
            (),
            {"Ready": "Reachable", "Funded": "Empty"},
        ),
        ("lost", REACHED, (Stranger(deployment="9", kind="Orphan"),), {"NoOrphans": "Orphans"}),
        (
            "others'",
            REACHED,
            (Stranger(deployment="9", kind="Foreign"),),
            {"NoOrphans": "NoOrphans"},
        ),
    ],
)
def test_conditions(
    case: str,
    market: MarketView | None,
    strangers: tuple[Stranger, ...],
    expected: dict[str, str],
) -> None:
    of = account()
    status = summarise(of, looked(of, []), market, strangers, NOW)
    found = {each.type: each.reason for each in status.conditions}
    assert expected.items() <= found.items(), case


@pytest.mark.parametrize(
    ("price", "hours", "reason"),
    [("2", 24, "Enough"), ("2.09", 24, "RunwayShort"), ("50", 1, "Enough"), ("50", 0, "Enough")],
)
def test_the_runway_condition_warns_in_time(price: str, hours: int, reason: str) -> None:
    of = account(AccountStatus(grants=(grant("u001", price),)))
    of = replace(of, spec=replace(of.spec, treasury=Treasury(warning_hours=hours)))
    leases = [numbered(1, "Ready", price_per_hour=price)]
    status = summarise(of, looked(of, leases), REACHED, (), NOW)
    found = condition(status.conditions, "Runway")
    assert found is not None
    assert found.reason == reason
    assert ("add credit" in found.message) == (reason == "RunwayShort")


@pytest.mark.parametrize(
    ("ends_in", "warning", "reason"),
    [(None, 24, "Enough"), (24, 24, "Enough"), (23, 24, "GrantEnds"), (23, 0, "Enough")],
)
def test_a_grant_that_ends_is_told_in_time(ends_in: int | None, warning: int, reason: str) -> None:
    of = account(treasury=Treasury(warning_hours=warning))
    until = NOW + timedelta(hours=ends_in) if ends_in is not None else None
    balance = Balance(available=MicroUSD(50_000_000), until=until)
    status = summarise(of, looked(of, []), replace(REACHED, balance=balance), (), NOW)
    found = condition(status.conditions, "Runway")
    assert found is not None
    assert found.reason == reason
    assert ("let the granter renew it" in found.message) == (reason == "GrantEnds")


def test_the_balance_is_written_at_a_change_of_one_percent() -> None:
    of = account(AccountStatus(balance="50.00"))
    for available, shown in ((49_500_001, "50.00"), (49_500_000, "49.50"), (50_500_000, "50.50")):
        market = replace(REACHED, balance=Balance(available=MicroUSD(available)))
        assert summarise(of, looked(of, []), market, (), NOW).balance == shown


def seen_at(seconds: float, available: int) -> MarketView:
    balance = Balance(available=MicroUSD(available))
    return MarketView(at=at(seconds), balance=balance, error="", error_reason="")


def test_two_operators_do_not_take_turns_in_writing_what_each_saw() -> None:
    """One looked earlier, one has not looked yet: neither replaces what is shown."""
    of = account()
    seen = looked(of, [])
    first = summarise(of, seen, seen_at(0, 50_000_000), (), NOW)
    newer = summarise(replace(of, status=first), seen, seen_at(30, 40_000_000), (), NOW)
    assert (first.balance, newer.balance, newer.read_at) == ("50.00", "40.00", at(30))
    shown = replace(of, status=newer)
    for view in (None, seen_at(0, 50_000_000), seen_at(30, 40_000_000)):
        assert summarise(shown, seen, view, (), NOW) == newer
    same = summarise(shown, seen, seen_at(60, 40_000_000), (), NOW)
    assert same == newer, "a look that shows nothing new writes nothing"


def test_two_operators_do_not_take_turns_in_naming_strangers() -> None:
    """One looked before a deployment was there, one after; the leases are seen anew by both."""
    of, lost = account(), (Stranger(deployment="9", kind="Orphan"),)
    early, late = seen_at(0, 50_000_000), seen_at(30, 50_000_000)
    seen = looked(of, [])
    first = summarise(of, seen, early, (), NOW)
    newer = summarise(replace(of, status=first), seen, late, lost, NOW)
    assert (first.strangers, newer.strangers, newer.read_at) == ((), lost, at(30))
    shown = replace(of, status=newer)
    assert summarise(shown, seen, early, (), NOW) == newer
    owned = summarise(shown, seen, late, (), NOW)
    assert owned.strangers == (), "the same look, and meanwhile a lease owns it"
    found = condition(owned.conditions, "NoOrphans")
    assert found is not None
    assert found.status == "True"


def test_without_news_the_runway_still_follows_the_burn() -> None:
    of = account(treasury=Treasury(warning_hours=24))
    rich = summarise(of, looked(of, []), seen_at(0, 10_000_000), (), NOW)
    burning = replace(of, status=replace(rich, grants=(grant("u001", "1"),)))
    found = condition(
        summarise(burning, looked(burning, [numbered(1)]), None, (), NOW).conditions, "Runway"
    )
    assert found is not None
    assert (found.status, found.reason) == ("False", "RunwayShort")


def held(*amounts: str, provider: str = "p1") -> tuple[EscrowStatus, ...]:
    return tuple(
        EscrowStatus(deployment=str(number), lease=None, provider=provider, left=each)
        for number, each in enumerate(amounts)
    )


@pytest.mark.parametrize(
    ("case", "new", "is_written"),
    [
        ("less than a tenth was paid", held("9.60", "9.50"), False),
        ("a tenth was paid", held("9.00", "9.00"), True),
        ("one was topped up, one has paid", held("9.00", "11.00"), True),
        ("another provider", held("10.00", "10.00", provider="p2"), True),
        ("one was closed", held("10.00"), True),
        ("none is left", (), True),
        ("it could not be read", None, False),
    ],
)
def test_what_is_escrowed_where_is_written_when_it_matters(
    case: str, new: tuple[EscrowStatus, ...] | None, is_written: bool
) -> None:
    of = account(AccountStatus(escrows=held("10.00", "10.00")))
    found = summarise(of, looked(of, []), replace(REACHED, escrows=new), (), NOW).escrows
    assert found == (new if is_written else of.status.escrows), case


@pytest.mark.parametrize(
    ("fees", "reason", "shown"),
    [
        (None, "Funded", None),
        (0, "FeesShort", "0.00"),
        (99_999, "FeesShort", "0.099999"),
        (100_000, "Funded", "0.10"),
    ],
)
def test_what_fees_are_paid_from_is_shown_and_watched(
    fees: int | None, reason: str, shown: str | None
) -> None:
    balance = Balance(available=MicroUSD(50_000_000), fees=fees, address="akash1treasury")
    of = account()
    status = summarise(of, looked(of, []), replace(REACHED, balance=balance), (), NOW)
    found = condition(status.conditions, "Funded")
    assert found is not None
    assert (found.reason, status.fee_balance) == (reason, shown)
    assert ("akash1treasury" in found.message) == (reason == "FeesShort")


def test_an_absurd_balance_fits_the_status() -> None:
    of = account()
    market = replace(REACHED, balance=Balance(available=MicroUSD(10**30)))
    status = summarise(of, looked(of, []), market, (), NOW)
    assert parse(STATUS_ADAPTER, dump(STATUS_ADAPTER, status), "status") == status


class Game:
    """Leases that want, order, cost and end as chance has it; the account looks now and then."""

    def __init__(self, seed: int, bounds: Limits) -> None:
        self.dice = random.Random(seed)
        self.account = replace(account(), meta=meta("treasury", namespace=""))
        self.account = replace(self.account, spec=replace(self.account.spec, limits=bounds))
        self.leases: dict[str, Lease] = {}
        self.ordered: list[datetime] = []
        self.now = NOW
        self.number = 0

    def play(self) -> None:
        """Let some time pass, something happen, and the account look."""
        self.now += timedelta(seconds=self.dice.choice([0.1, 1, 5, 29, 31, 61, 300]))
        self._someone_comes()
        for uid in sorted(self.leases):
            self._moves(uid)
        self._look()

    def _someone_comes(self) -> None:
        if self.dice.random() < 0.5:
            self.number += 1
            self.leases[f"u{self.number:03}"] = numbered(self.number)

    def _moves(self, uid: str) -> None:
        of = self.leases[uid]
        chance = self.dice.random()
        if of.status.phase == "Pending" and self._may_order(uid) and chance < 0.6:
            self.ordered.append(self.now)
            self._set(uid, phase="Bidding")
        elif of.status.phase == "Bidding" and chance < 0.4:
            self._set(uid, phase="Ready", price_per_hour=format_dollars(self._cost(uid)))
        elif of.status.phase == "Ready" and chance < 0.2:
            self._set(uid, phase="Closed", closed_at=self.now)
        elif of.status.phase == "Closed" and chance < 0.5:
            del self.leases[uid]

    def _may_order(self, uid: str) -> bool:
        return any(
            each.lease == uid and self.now - each.at <= timedelta(seconds=30)
            for each in self.account.status.grants
        )

    def _cost(self, uid: str) -> int:
        granted = next(each for each in self.account.status.grants if each.lease == uid)
        return self.dice.randint(1, parse_dollars(granted.price_per_hour))

    def _set(self, uid: str, **fields: Any) -> None:
        of = self.leases[uid]
        self.leases[uid] = replace(of, status=replace(of.status, **fields))

    def _look(self) -> None:
        granted = {each.lease for each in self.account.status.grants}
        gone = frozenset(granted - self.leases.keys())
        ceilings = {uid: MicroUSD(self.dice.randint(1, 3_000_000)) for uid in self.leases}
        seen = standing(self.account, list(self.leases.values()), ceilings, gone, self.now)
        status = summarise(self.account, seen, REACHED, (), self.now)
        self.account = replace(self.account, status=status)
        again = standing(self.account, list(self.leases.values()), ceilings, gone, self.now)
        assert summarise(self.account, again, REACHED, (), self.now) == status


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    leases=st.integers(0, 5),
    price=st.integers(0, 6),
    rate=st.integers(0, 5),
)
def test_ceilings_hold_and_a_second_look_changes_nothing(
    seed: int, leases: int, price: int, rate: int
) -> None:
    game = Game(seed, limits(price=str(price), leases=leases, rate=rate))
    for _ in range(40):
        game.play()
        open_now = [
            each for each in game.leases.values() if each.status.phase in {"Bidding", "Ready"}
        ]
        grants = game.account.status.grants
        assert len(open_now) <= len(grants) <= leases
        assert {each.meta.uid for each in open_now} <= {each.lease for each in grants}
        assert reserved(grants) <= price * 1_000_000
        recent = [each for each in game.ordered if game.now - each < RATE_WINDOW]
        assert len(recent) <= rate
