"""An account's status: grants, money, conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from garrison.api.account import (
    Account,
    AccountStatus,
    AdoptedStatus,
    EndpointStatus,
    EscrowStatus,
    Grant,
    Stranger,
)
from garrison.api.lease import Lease
from garrison.api.meta import Condition, ConditionStatus, keep_time
from garrison.api.money import MicroUSD, format_dollars, parse_dollars, shown_dollars
from garrison.core.adoption import records
from garrison.core.budget import Refusal, Request, grant_all, rate_window, reserved
from garrison.core.holdings import steady
from garrison.core.lifecycle import unresolved_create
from garrison.core.winding import RELEASED
from garrison.ports.market import Balance, EndpointFact

UNKNOWN_AFTER = timedelta(seconds=10)
"""A create that takes longer counts as unknown; no other order is placed until it is resolved."""

MAX_RELEASED = 100
MAX_ENDPOINTS = 8
MAX_URL = 512
SHOWN_EVERY_BLOCKS = 100
FROM_MARKET = frozenset({"Ready", "Funded", "Runway"})
LEAST_FEES = 100_000
"""Millionths of an AKT: some ten transactions at the usual price of gas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The ledger after this pass, and why the first waiting lease waits."""

    grants: tuple[Grant, ...]
    granted_at: tuple[datetime, ...]
    refusal: Refusal | None
    released: tuple[str, ...]
    adopted: tuple[AdoptedStatus, ...]
    open_leases: int


def standing(
    account: Account,
    leases: Sequence[Lease],
    ceilings: Mapping[str, MicroUSD],
    gone: frozenset[str],
    now: datetime,
) -> Standing:
    """Return the ledger: closed leases out, leased ones at their price, waiting ones in if they fit.

    ``gone`` are uids whose objects are verified to exist no more: the finalizer saw to their close.
    """
    by_uid = {each.meta.uid: each for each in leases}
    kept = tuple(
        _repriced(grant, by_uid.get(grant.lease))
        for grant in account.status.grants
        if _still_held(grant, by_uid.get(grant.lease), gone)
    )
    before = replace(account.status, grants=kept)
    waiting = (
        []
        if _is_create_unknown(leases, now) or account.meta.deleting
        else _waiting(leases, ceilings)
    )
    horizon = timedelta(seconds=account.spec.backend.settings.outcome_horizon_seconds)
    window = rate_window(horizon)
    grants, times, refused = grant_all(waiting, account.spec.limits, before, now, window)
    return Standing(
        grants=grants,
        granted_at=times,
        refusal=refused,
        released=_released(account.status, leases),
        adopted=records(account.status.adopted, leases, now),
        open_leases=len(grants),
    )


def _still_held(grant: Grant, lease: Lease | None, gone: frozenset[str]) -> bool:
    if lease is None:
        return grant.lease not in gone
    return lease.status.closed_at is None


def _repriced(grant: Grant, lease: Lease | None) -> Grant:
    """Once leased, a grant holds what the lease costs, no more."""
    if lease is None or lease.status.price_per_hour is None:
        return grant
    if lease.status.price_per_hour == grant.price_per_hour or grant.attempt != lease.status.attempt:
        return grant
    return replace(grant, price_per_hour=lease.status.price_per_hour)


def _waiting(leases: Sequence[Lease], ceilings: Mapping[str, MicroUSD]) -> list[Request]:
    """Leases that may order, in the order in which they were created."""
    queue = [
        each
        for each in leases
        if each.status.phase == "Pending" and not each.meta.deleting and each.status.failure is None
    ]
    return [
        Request(
            lease=each.meta.uid,
            namespace=each.meta.namespace,
            name=each.meta.name,
            attempt=each.status.attempt,
            price_per_hour=ceilings[each.meta.uid],
            adopts=each.spec.adopts.deployment if each.spec.adopts is not None else None,
        )
        for each in sorted(queue, key=lambda each: (each.meta.created_at, each.meta.uid))
    ]


def _is_create_unknown(leases: Sequence[Lease], now: datetime) -> bool:
    return any(
        intent is not None and now - intent.at > UNKNOWN_AFTER
        for intent in (unresolved_create(each.status) for each in leases)
    )


def _released(status: AccountStatus, leases: Sequence[Lease]) -> tuple[str, ...]:
    """Deployments that their owner let go on purpose: never closed by the sweep."""
    new = [
        each.status.deployment.id
        for each in leases
        if each.meta.deleting
        and each.status.close_reason == RELEASED
        and each.status.deployment is not None
        and each.status.closed_at is None
        and each.status.deployment.id not in status.released
    ]
    return (*status.released, *new)[-MAX_RELEASED:]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """What a survey said that began ``at``. ``error`` "" when it worked; None: never read, or not now."""

    at: datetime | None = None
    balance: Balance | None
    error: str
    error_reason: str
    endpoints: tuple[EndpointFact, ...] = ()
    escrows: tuple[EscrowStatus, ...] | None = None
    mint_problem: str = ""


def summarise(
    account: Account,
    now_standing: Standing,
    market: MarketView | None,
    strangers: tuple[Stranger, ...],
    now: datetime,
) -> AccountStatus:
    """Return the whole new status.

    Two operators that looked at the market at different times must not take turns in writing what each
    saw: only a later look than the one that is shown replaces it, and none replaces nothing. Whose the
    deployments are depends on the leases, too, so ``strangers`` are told by the look that is shown as well.
    """
    old = account.status
    strangers = old.strangers if _is_outdated(old, market) else strangers
    burn = reserved(now_standing.grants)
    news = market if _is_news(old, market) else None
    balance = news.balance if news is not None else None
    shown = _shown(old.balance, balance.available if balance is not None else None)
    read = news.escrows if news is not None else None
    new = replace(
        old,
        observed_generation=account.meta.generation,
        address=(balance.address or None) if balance is not None else old.address,
        balance=shown,
        fee_balance=_shown(old.fee_balance, balance.fees if balance is not None else None),
        escrowed=_shown(old.escrowed, balance.escrowed if balance is not None else None, 10),
        escrows=steady(old.escrows, read) if read is not None else old.escrows,
        endpoints=_shown_endpoints(old, news),
        burn_per_hour=shown_dollars(burn),
        runway_hours=_runway(shown, burn),
        open_leases=now_standing.open_leases,
        grants=now_standing.grants,
        granted_at=now_standing.granted_at,
        strangers=strangers,
        released=now_standing.released,
        adopted=now_standing.adopted,
        conditions=_conditions(account, now_standing, news, strangers, now, shown=shown),
    )
    is_told = news is not None and _from_market(new) != _from_market(old)
    return replace(new, read_at=news.at) if news is not None and is_told else new


def _is_news(old: AccountStatus, market: MarketView | None) -> bool:
    if market is None or market.at is None or old.read_at is None:
        return market is not None
    return market.at > old.read_at


def _is_outdated(old: AccountStatus, market: MarketView | None) -> bool:
    if market is None or market.at is None or old.read_at is None:
        return False
    return market.at < old.read_at


def _from_market(status: AccountStatus) -> tuple[object, ...]:
    """What a status shows that a look at the market told."""
    verdicts = [
        (each.type, each.status, each.reason, each.message)
        for each in status.conditions
        if each.type in FROM_MARKET
    ]
    return (
        status.address,
        status.balance,
        status.fee_balance,
        status.escrowed,
        status.escrows,
        status.endpoints,
        status.strangers,
        verdicts,
    )


def _shown(old: str | None, new: int | None, percent: int = 1) -> str | None:
    """An amount, rewritten only at a change of so much or more: a status is no ticker."""
    if new is None:
        return old
    if old is not None:
        known = parse_dollars(old)
        if abs(new - known) * 100 < max(known * percent, 1):
            return old
    return shown_dollars(new)


def _shown_endpoints(old: AccountStatus, market: MarketView | None) -> tuple[EndpointStatus, ...]:
    """The nodes, rewritten when one's use changes or after 100 blocks: a status is no ticker."""
    if market is None:
        return old.endpoints
    new = tuple(_endpoint(each) for each in market.endpoints[:MAX_ENDPOINTS])
    is_same = [(each.url, each.usable) for each in new] == [
        (each.url, each.usable) for each in old.endpoints
    ]
    moved = max((each.height or 0 for each in new), default=0) - max(
        (each.height or 0 for each in old.endpoints), default=0
    )
    return old.endpoints if is_same and 0 <= moved < SHOWN_EVERY_BLOCKS else new


def _endpoint(fact: EndpointFact) -> EndpointStatus:
    return EndpointStatus(
        url=fact.url[:MAX_URL],
        usable=fact.usable,
        height=fact.height,
        lag=fact.lag,
        message=fact.message[:MAX_URL],
    )


def _runway(balance: str | None, burn: int) -> int | None:
    return None if balance is None or burn == 0 else parse_dollars(balance) // burn


def _conditions(
    account: Account,
    now_standing: Standing,
    market: MarketView | None,
    strangers: tuple[Stranger, ...],
    now: datetime,
    *,
    shown: str | None,
) -> tuple[Condition, ...]:
    burn = reserved(now_standing.grants)
    found = [
        _condition(account, "Ready", _ready(market), now),
        _condition(account, "Funded", _funded(account, market), now),
        _condition(account, "Runway", _warning(account, shown, burn, market, now), now),
        _condition(account, "WithinLimits", _within(now_standing), now),
        _condition(account, "NoOrphans", _orphans(strangers), now),
    ]
    old = {each.type: each for each in account.status.conditions}
    told = {} if market is not None else _told_before(account, burn)
    return tuple(keep_time(told.get(each.type, each), old.get(each.type)) for each in found)


def _told_before(account: Account, burn: int) -> Mapping[str, Condition]:
    """The verdicts that stay as they are without news; the runway's changes with the burn."""
    old, generation = account.status, account.meta.generation
    is_same = old.burn_per_hour == shown_dollars(burn)
    return {
        each.type: replace(each, observed_generation=generation)
        for each in old.conditions
        if each.type in FROM_MARKET and (each.type != "Runway" or is_same)
    }


def _condition(
    account: Account, type_: str, verdict: tuple[ConditionStatus, str, str], now: datetime
) -> Condition:
    status, reason, message = verdict
    return Condition(
        type=type_,
        status=status,
        reason=reason,
        message=message[:1024],
        observed_generation=account.meta.generation,
        last_transition_time=now.replace(microsecond=0),
    )


def _ready(market: MarketView | None) -> tuple[ConditionStatus, str, str]:
    if market is None:
        return "Unknown", "NotRead", "the market has not been read yet"
    if market.error:
        return "False", market.error_reason, market.error
    return "True", "Reachable", "the market answers and accepts the credential"


def _funded(account: Account, market: MarketView | None) -> tuple[ConditionStatus, str, str]:
    if market is None or market.balance is None:
        return "Unknown", "NotRead", "the balance has not been read yet"
    if market.balance.fees is not None and market.balance.fees < LEAST_FEES:
        return "False", "FeesShort", _fees_short(account, market.balance)
    if market.balance.available <= 0:
        return "False", "Empty", "nothing is left to deposit; add credit to the account"
    return "True", "Funded", "the account can pay for deposits"


def _fees_short(account: Account, balance: Balance) -> str:
    chain, grantee = account.spec.backend.chain, balance.address or "the account"
    remedy = f"send some uakt to {grantee}"
    if chain is not None and chain.granter:
        remedy = f"let {chain.granter} renew its fee allowance for {grantee}, and hold uakt itself"
    return (
        f"{shown_dollars(balance.fees or 0)} AKT are left for fees, enough for a few transactions; "
        f"{remedy}, or nothing can be closed any more"
    )


def _warning(
    account: Account, balance: str | None, burn: int, market: MarketView | None, now: datetime
) -> tuple[ConditionStatus, str, str]:
    """What can still be deposited; the escrow of what runs lasts beside it."""
    hours = account.spec.treasury.warning_hours
    if balance is None:
        return "Unknown", "NotRead", "the balance has not been read yet"
    left = _runway(balance, burn)
    until = market.balance.until if market is not None and market.balance is not None else None
    if hours and until is not None and until - now < timedelta(hours=hours):
        return "False", "GrantEnds", _grant_ends(until)
    if left is None or left >= hours:
        return "True", "Enough", f"what can be deposited lasts for {hours} hours or more"
    return (
        "False",
        "RunwayShort",
        f"what can be deposited lasts for less than {hours} hours (treasury.warningHours) at "
        f"{format_dollars(burn)} $/h; add credit to the account, or scale something down"
        + (f"; nothing is minted: {market.mint_problem}" if market and market.mint_problem else ""),
    )


def _grant_ends(until: datetime) -> str:
    return (
        f"a grant that deposits or fees are paid from ends at {until:%Y-%m-%d %H:%M} UTC; let the "
        "granter renew it (docs/own-wallet.md), or nothing can be ordered, topped up or closed then"
    )


def _within(now_standing: Standing) -> tuple[ConditionStatus, str, str]:
    if now_standing.refusal is None:
        return "True", "WithinLimits", "no lease waits for a ceiling"
    return "False", now_standing.refusal.reason, now_standing.refusal.message


def _orphans(strangers: tuple[Stranger, ...]) -> tuple[ConditionStatus, str, str]:
    lost = [each.deployment for each in strangers if each.kind == "Orphan"]
    if not lost:
        return "True", "NoOrphans", "every deployment that was ordered or adopted here has an owner"
    return "False", "Orphans", f"no AkashLease owns {', '.join(lost[:5])}"
