"""Escrow that does not run out: what is missing, who may add it, and when the outcome is known.

A deposit is a write like any other: an intent in the status, a token that is used once. Its outcome is
known at once or never asked for; either way no reading of the escrow is believed that began before the
deposit must be visible in it. So the next need is counted from an escrow that contains the last deposit,
and one need is never paid for twice, whoever looks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from garrison.api.account import Treasury
from garrison.api.lease import Intent, LeaseEscrow, LeaseStatus, TopUpStatus
from garrison.api.meta import Condition, ConditionStatus, set_condition
from garrison.api.money import MOST_SHOWN, MicroUSD, format_dollars, parse_dollars, shown_dollars
from garrison.core.lifecycle import (
    DepositEscrow,
    Observation,
    Step,
    settled_by,
    token_usable,
    unresolved_top_up,
    without_intent,
)
from garrison.core.order import MIN_DEPOSIT
from garrison.errors import AuthError, RejectedError
from garrison.ports.market import DeploymentState, LeaseState

LEASED = frozenset({"Deploying", "Enrolling", "Verifying", "Benchmarking", "Ready"})
MOVED = timedelta(minutes=10)
"""A shorter shift of the end of the escrow is not written: a status is no ticker."""
FOREVER = timedelta(days=3650)
FUNDED = "Funded"
TRIES = 4
"""So many deposits in turn may come to nothing before the escrow is empty."""
_HOUR = timedelta(hours=1)
_TICK = timedelta(microseconds=1)
_TICKS_PER_HOUR = _HOUR // _TICK


def least_runway(treasury: Treasury, settling: timedelta) -> timedelta:
    """Return below which runway an escrow is topped up; ``settling``: from an intent to its outcome."""
    return max(treasury.min_runway_hours * _HOUR, TRIES * settling)


def wanted_runway(treasury: Treasury) -> timedelta:
    """Return how long an escrow lasts after a top-up."""
    return max(treasury.deposit_hours, treasury.min_runway_hours + 1) * _HOUR


def missing(left: timedelta, wanted: timedelta, price_per_hour: MicroUSD) -> MicroUSD:
    """Return what extends an escrow that lasts for ``left`` to ``wanted``, at least the least deposit."""
    gap = max(timedelta(), wanted - left)
    return MicroUSD(max(MIN_DEPOSIT, -(-price_per_hour * (gap // _TICK) // _TICKS_PER_HOUR)))


def affordable(wanted: MicroUSD, available: MicroUSD) -> MicroUSD | None:
    """Return what an account can add now: all, what it has, or None below the least deposit."""
    amount = min(wanted, available, MOST_SHOWN)
    return amount if amount >= MIN_DEPOSIT else None


def lasting(escrow: MicroUSD, price_per_hour: MicroUSD) -> timedelta:
    """Return how long an escrow pays a price, ten years at most."""
    if price_per_hour <= 0 or escrow >= price_per_hour * (FOREVER // _HOUR):
        return FOREVER
    return _TICK * (escrow * _TICKS_PER_HOUR // price_per_hour)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An escrow that can still be topped up, as it was read at ``at``."""

    at: datetime
    deployment: str
    escrow: MicroUSD
    price_per_hour: MicroUSD

    @property
    def until(self) -> datetime:
        return self.at + lasting(self.escrow, self.price_per_hour)


def reading(o: Observation) -> Reading | None:
    """Return this pass's reading, None when nothing may be added: no lease, leaving, overdrawn.

    What is put into an overdrawn escrow pays its debt and keeps nothing open.
    """
    held, found = o.market_lease, o.deployment
    if o.status.phase not in LEASED or o.status.failure is not None or o.lease.meta.deleting:
        return None
    if found is None or o.deployment_at is None or o.deployment_at != o.now or held is None:
        return None
    is_running = found.state is DeploymentState.ACTIVE and held.state is LeaseState.ACTIVE
    if not is_running or not found.escrow:
        return None
    return Reading(
        at=o.deployment_at,
        deployment=found.id,
        escrow=found.escrow,
        price_per_hour=held.price_per_hour,
    )


def is_believed(found: Reading, o: Observation) -> bool:
    """Return whether a reading shows every deposit that was ever intended."""
    last = _last(o.status)
    return last is None or found.at >= settled_by(last.at, o.traits)


def ends_at(found: Reading, o: Observation) -> datetime:
    """Return when the escrow is empty.

    A reading that lags looks better than it is, the more the older it is; without a deposit the truth
    never improves, so the worst estimate is the best.
    """
    known = o.status.escrow.lasts_until if o.status.escrow is not None else None
    if not o.traits.escrow_lags or known is None:
        return found.until
    return min(known, found.until)


def is_due(o: Observation) -> bool:
    """Return whether this lease's escrow must be topped up now, if the account can pay."""
    found = reading(o)
    if found is None or o.account is None or o.account.spec.treasury.min_runway_hours == 0:
        return False
    if o.status.intent is not None or not is_believed(found, o):
        return False
    settling = settled_by(o.now, o.traits) - o.now
    return ends_at(found, o) - o.now < least_runway(o.account.spec.treasury, settling)


def kept(o: Observation, taken: Step) -> Step:
    """Return the step of the phase with the escrow seen to; what the phase does itself goes first."""
    status = taken.status
    if status.failure is not None or status.phase not in LEASED or taken.action is not None:
        return taken
    intent = unresolved_top_up(o.status)
    if intent is not None:
        return _outstanding(o, taken, intent)
    found = reading(o)
    if found is None or not is_believed(found, o):
        return taken
    status = _lasts(status, ends_at(found, o))
    if not is_due(o):
        return replace(taken, status=_funded(o, status))
    return _top_up(o, replace(taken, status=status), found)


def _outstanding(o: Observation, taken: Step, intent: Intent) -> Step:
    """Deposit with the token, or wait until the escrow itself says whether it was done."""
    found = reading(o)
    if token_usable(o) and intent.deployment is not None and intent.amount is not None:
        action = DepositEscrow(
            token=intent.token,
            deployment=intent.deployment,
            amount=parse_dollars(intent.amount),
        )
        return Step(status=taken.status, action=action, requeue=0.0)
    if found is None or not is_believed(found, o):
        return taken
    return Step(status=_resolved(o, taken.status, found), requeue=0.0)


def _resolved(o: Observation, status: LeaseStatus, found: Reading) -> LeaseStatus:
    """Read off the escrow what became of a deposit. Rent lowers it, nothing but a deposit raises it."""
    last = _last(status)
    if last is None:
        return without_intent(status)
    before = parse_dollars(last.left_before)
    until = found.until if found.escrow < before else ends_at(found, o)
    ended = replace(last, outcome="NotSeen")
    if found.escrow > before:
        ended = replace(last, outcome="Deposited")
        until = _extended(o, parse_dollars(last.amount), found.price_per_hour) or found.until
    return without_intent(_lasts(_with_top_up(status, ended), until))


def _top_up(o: Observation, taken: Step, found: Reading) -> Step:
    assert o.account is not None  # noqa: S101 - is_due() asked for it
    if o.balance is None:
        return taken
    left = ends_at(found, o) - o.now
    wanted = missing(left, wanted_runway(o.account.spec.treasury), found.price_per_hour)
    amount = affordable(wanted, o.balance)
    if amount is None:
        return replace(taken, status=_short(o, taken.status, left))
    return Step(status=_intended(o, taken.status, found, amount), requeue=0.0)


def _intended(o: Observation, status: LeaseStatus, found: Reading, amount: MicroUSD) -> LeaseStatus:
    assert o.deployment is not None  # noqa: S101 - there is a reading
    intent = Intent(
        action="Deposit",
        token=o.token,
        at=o.now,
        marker=o.deployment.marker[:128],
        deployment=found.deployment,
        amount=format_dollars(amount),
    )
    planned = TopUpStatus(
        amount=format_dollars(amount), left_before=shown_dollars(found.escrow), at=o.now
    )
    return replace(_with_top_up(status, planned), intent=intent)


def deposited(o: Observation, status: LeaseStatus, error: Exception | None) -> Step:
    """Return the step after a deposit: done, refused, or not known (then it is read off)."""
    last = _last(status)
    if last is None:
        return Step(status=without_intent(status), requeue=o.timing.watch)
    if error is None:
        ended = _with_top_up(without_intent(status), replace(last, outcome="Deposited"))
        until = _extended(o, parse_dollars(last.amount), _price(o))
        more = _lasts(ended, until) if until is not None else ended
        return Step(status=_set(o, more, "True", "Funded", FUNDS_LAST), requeue=o.timing.watch)
    if not isinstance(error, RejectedError | AuthError):
        return Step(status=status, requeue=o.timing.watch)
    refused = replace(last, outcome="Refused", message=str(error)[:1024])
    ended = _with_top_up(without_intent(status), refused)
    message = f"the escrow could not be topped up: {error}"
    return Step(status=_set(o, ended, "False", error.reason, message), requeue=o.timing.watch)


FUNDS_LAST = "the escrow lasts, and is topped up before it is empty"
UNWATCHED = "the escrow lasts; it is not topped up, for treasury.minRunwayHours is 0"


def _funded(o: Observation, status: LeaseStatus) -> LeaseStatus:
    is_kept = o.account is not None and o.account.spec.treasury.min_runway_hours > 0
    return _set(o, status, "True", "Funded", FUNDS_LAST if is_kept else UNWATCHED)


def _short(o: Observation, status: LeaseStatus, left: timedelta) -> LeaseStatus:
    hours = max(0, left // _HOUR)
    message = (
        f"the escrow lasts for {hours} more hours and AkashAccount {o.lease.spec.account!r} cannot pay "
        f"the least deposit of {format_dollars(MIN_DEPOSIT)} $; add credit, or the market ends the lease"
    )
    return _set(o, status, "False", "RunwayShort", message)


def _set(
    o: Observation, status: LeaseStatus, state: ConditionStatus, reason: str, message: str
) -> LeaseStatus:
    new = Condition(
        type=FUNDED,
        status=state,
        reason=reason,
        message=message[:1024],
        observed_generation=o.lease.meta.generation,
        last_transition_time=o.now.replace(microsecond=0),
    )
    conditions = set_condition(status.conditions, new)
    return status if conditions is status.conditions else replace(status, conditions=conditions)


def _lasts(status: LeaseStatus, until: datetime) -> LeaseStatus:
    escrow = status.escrow or LeaseEscrow()
    if escrow.lasts_until is not None and abs(until - escrow.lasts_until) < MOVED:
        return status
    return replace(status, escrow=replace(escrow, lasts_until=until.replace(microsecond=0)))


def _extended(o: Observation, amount: MicroUSD, price_per_hour: MicroUSD | None) -> datetime | None:
    known = o.status.escrow.lasts_until if o.status.escrow is not None else None
    if known is None or price_per_hour is None:
        return None
    return known + lasting(amount, price_per_hour)


def _price(o: Observation) -> MicroUSD | None:
    price = o.status.price_per_hour
    return parse_dollars(price) if price is not None else None


def _with_top_up(status: LeaseStatus, top_up: TopUpStatus) -> LeaseStatus:
    return replace(status, escrow=replace(status.escrow or LeaseEscrow(), top_up=top_up))


def _last(status: LeaseStatus) -> TopUpStatus | None:
    return status.escrow.top_up if status.escrow is not None else None
