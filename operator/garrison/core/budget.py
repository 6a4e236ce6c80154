"""The ceilings of an account. Grants in its status are the ledger; an order needs one first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from garrison.api.account import AccountStatus, Grant, Limits
from garrison.api.money import MicroUSD, format_dollars, parse_dollars
from garrison.core.lifecycle import TOKEN_LIFE

RATE_WINDOW = timedelta(minutes=10)

GRANT_VALID = timedelta(seconds=30)
"""How long after a grant its order may be intended; later it has to be granted anew."""

GRANT_MARGIN = timedelta(seconds=30)
"""Until an intent that was written in the last moment of a grant is surely visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A lease that wants to order. ``price_per_hour`` is the highest it may come to."""

    lease: str
    namespace: str
    name: str
    attempt: int
    price_per_hour: MicroUSD
    adopts: str | None = None
    """the running deployment that is taken over instead"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request gets no grant now. ``retry_at`` None: when something else is closed."""

    reason: str
    message: str
    retry_at: datetime | None = None


def reserved(grants: Sequence[Grant]) -> MicroUSD:
    """Return what all grants may cost per hour."""
    return MicroUSD(sum(parse_dollars(each.price_per_hour) for each in grants))


def rate_window(horizon: timedelta) -> timedelta:
    """Return how long a grant counts: ten minutes, and the longest way from it to the deployment.

    So that no ten minutes ever see more deployments than the ceiling, whenever they come into being.
    """
    return RATE_WINDOW + GRANT_VALID + TOKEN_LIFE + horizon


def recent(
    times: Sequence[datetime], now: datetime, window: timedelta = RATE_WINDOW
) -> tuple[datetime, ...]:
    """Return the times inside the rate window."""
    return tuple(each for each in times if now - each < window)


def refusal(
    request: Request,
    limits: Limits,
    grants: Sequence[Grant],
    times: Sequence[datetime],
    now: datetime,
    *,
    window: timedelta = RATE_WINDOW,
) -> Refusal | None:
    """Return why ``request`` must wait, None when it fits under every ceiling."""
    others = [each for each in grants if each.lease != request.lease]
    if len(others) >= limits.max_leases:
        return Refusal(
            reason="TooManyLeases",
            message=f"{len(others)} leases are open and limits.maxLeases is {limits.max_leases}; "
            "raise it on the AkashAccount or scale something down",
        )
    ceiling = parse_dollars(limits.max_price_per_hour)
    total = reserved(others) + request.price_per_hour
    if total > ceiling:
        return Refusal(
            reason="TooExpensive",
            message=f"open leases and orders may come to {format_dollars(reserved(others))} $/h, this one to "
            f"{format_dollars(request.price_per_hour)}, and limits.maxPricePerHour is "
            f"{format_dollars(ceiling)}; raise it on the AkashAccount or lower spec.budget.maxPricePerHour",
        )
    counted = recent(times, now, window)
    if len(counted) >= limits.max_new_leases_per10_minutes:
        return Refusal(
            reason="TooManyNewLeases",
            message=f"{len(counted)} leases were ordered in the last ten minutes and "
            f"limits.maxNewLeasesPer10Minutes is {limits.max_new_leases_per10_minutes}; "
            "wait, or raise it on the AkashAccount",
            retry_at=min(counted) + window if counted else None,
        )
    return None


def grant_all(
    requests: Sequence[Request],
    limits: Limits,
    status: AccountStatus,
    now: datetime,
    window: timedelta = RATE_WINDOW,
) -> tuple[tuple[Grant, ...], tuple[datetime, ...], Refusal | None]:
    """Return the new ledger: (grants, times of grants in the window, first refusal).

    Requests are served in the order given; the first that does not fit holds up those behind it,
    so that a large one is not starved by small ones. A deployment is adopted once: a second request for
    it is passed over. A grant that was never used is taken back
    before it is given anew: the requests must come from leases that were read after it had lapsed.
    """
    grants = list(status.grants)
    times = list(recent(status.granted_at, now, window))
    for request in requests:
        old = grant_of(request.lease, request.attempt, grants)
        if old is not None and not has_lapsed(old, now):
            continue
        if _is_taken(request, grants):
            continue
        others = _without(times, old)
        refused = refusal(request, limits, grants, others, now, window=window)
        if refused is not None:
            return tuple(grants), tuple(times), refused
        grants = [each for each in grants if each.lease != request.lease]
        grants.append(_grant(request, now))
        times = [*others, now]
    return tuple(grants), tuple(times), None


def _is_taken(request: Request, grants: Sequence[Grant]) -> bool:
    return request.adopts is not None and any(
        each.adopts == request.adopts and each.lease != request.lease for each in grants
    )


def _without(times: Sequence[datetime], taken_back: Grant | None) -> list[datetime]:
    """The times without that of a grant; one only, for others may have been given in that moment."""
    left = list(times)
    if taken_back is not None and taken_back.at in left:
        left.remove(taken_back.at)
    return left


def _grant(request: Request, now: datetime) -> Grant:
    return Grant(
        lease=request.lease,
        namespace=request.namespace,
        name=request.name,
        attempt=request.attempt,
        price_per_hour=format_dollars(request.price_per_hour),
        at=now,
        adopts=request.adopts,
    )


def grant_of(lease: str, attempt: int, grants: Sequence[Grant]) -> Grant | None:
    """Return the grant of this attempt, None when there is none."""
    return next((each for each in grants if (each.lease, each.attempt) == (lease, attempt)), None)


def has_lapsed(grant: Grant, now: datetime) -> bool:
    """Return whether a grant can be given anew: nobody can have used it unseen."""
    return now - grant.at > GRANT_VALID + GRANT_MARGIN


def is_granted(lease: str, attempt: int, grants: Sequence[Grant], now: datetime) -> bool:
    """Return whether an order of this attempt may be intended now."""
    grant = grant_of(lease, attempt, grants)
    return grant is not None and now - grant.at <= GRANT_VALID


def granted_price(lease: str, grants: Sequence[Grant]) -> MicroUSD | None:
    """Return the highest price per hour that was granted to a lease."""
    return next(
        (parse_dollars(each.price_per_hour) for each in grants if each.lease == lease), None
    )
