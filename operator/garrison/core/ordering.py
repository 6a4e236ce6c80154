"""From a grant to a lease: order, collect bids, choose, accept."""

from __future__ import annotations

from dataclasses import replace

from garrison.api.lease import AttemptStatus, DeploymentStatus, Intent, LeaseStatus
from garrison.api.money import format_dollars, parse_dollars, shown_dollars
from garrison.api.workload import Blame
from garrison.core.budget import granted_price, is_granted
from garrison.core.lifecycle import (
    AcceptBid,
    CreateDeployment,
    Observation,
    PrepareBootstrap,
    Step,
    age,
    horizon_passed,
    token_usable,
    unresolved_create,
    without_intent,
)
from garrison.core.marker import Marker
from garrison.core.order import gpu_ask, order_of
from garrison.core.phase import enter, failed
from garrison.core.placement import Choice, Criteria, choose, objection
from garrison.errors import (
    AuthError,
    FundsError,
    InvalidSpecError,
    RejectedError,
    UnknownOutcomeError,
)
from garrison.ports.market import Bid, BidState, Deployment, LeaseState, MarketLease, Order


def marker_of(o: Observation) -> str:
    """Return the marker of this lease's current attempt."""
    return str(
        Marker(installation=o.installation, lease=o.lease.meta.uid, attempt=o.status.attempt)
    )


def order(o: Observation) -> Order:
    """Return what this attempt orders. Raises InvalidSpecError."""
    assert o.template is not None  # noqa: S101 - pending() waits for it
    assert o.account is not None  # noqa: S101 - pending() waits for it
    granted = granted_price(o.lease.meta.uid, o.account.status.grants)
    return order_of(
        template=o.template,
        policy=o.policy,
        model_index=o.status.model_index,
        marker=marker_of(o),
        max_price_per_hour=min(o.ceiling, granted) if granted is not None else o.ceiling,
        deposit_hours=o.account.spec.treasury.deposit_hours,
        injection=o.injection,
    )


def pending(o: Observation) -> Step:
    """Wait for a grant under the account's ceilings, then record the intent to order."""
    status = enter(o.status, "Pending", o.now)
    if o.account is None or o.template is None or o.policy_missing:
        return Step(status=status, requeue=30.0)
    if o.verified and o.injection is None:
        return Step(status=status, action=PrepareBootstrap(), requeue=0.0)
    if not is_granted(o.lease.meta.uid, status.attempt, o.account.status.grants, o.now):
        return Step(status=status)
    if o.unlisted:
        return Step(status=status, requeue=o.timing.poll)
    intent = Intent(
        action="CreateDeployment",
        token=o.token,
        at=o.now,
        marker=marker_of(o),
        deployment=o.proposed_id,
    )
    return Step(status=replace(enter(status, "Ordering", o.now), intent=intent), requeue=0.0)


def ordering(o: Observation) -> Step:
    """Create the deployment that the intent names, or find out whether it was created."""
    intent = unresolved_create(o.status)
    if intent is None:
        return Step(status=enter(o.status, "Pending", o.now), requeue=0.0)
    if o.deployment is not None:
        return Step(status=adopted(o, o.deployment), requeue=0.0)
    if token_usable(o) and o.template is not None and o.account is not None:
        action = CreateDeployment(token=intent.token, order=order(o), deployment=intent.deployment)
        return Step(status=o.status, action=action, requeue=o.timing.lookup)
    if horizon_passed(intent, o.traits, o.now):
        return Step(status=without_intent(enter(o.status, "Pending", o.now)), requeue=0.0)
    return Step(status=o.status, requeue=o.timing.lookup)


def adopted(o: Observation, deployment: Deployment) -> LeaseStatus:
    """Return the status with a deployment recorded: from here on it must be closed one day."""
    intent = o.status.intent
    record = DeploymentStatus(
        id=deployment.id,
        marker=deployment.marker,
        ordered_at=intent.at if intent is not None else o.now,
    )
    status = replace(o.status, deployment=record, intent=None)
    return enter(status, "Bidding", o.now) if status.phase in {"Ordering", "Pending"} else status


def created(o: Observation, status: LeaseStatus, error: Exception | None, value: object) -> Step:
    """Return the step after a create: recorded, refused, or unknown (then it is looked up).

    A credential that is refused, a ceiling too low for the market and an empty account are mended
    in place: no revision's fault.
    """
    if isinstance(value, Deployment):
        return Step(status=adopted(o, value), requeue=0.0)
    if isinstance(error, UnknownOutcomeError):
        return Step(status=status, requeue=o.timing.lookup)
    if isinstance(error, RejectedError | AuthError):
        in_place = isinstance(error, FundsError | InvalidSpecError | AuthError)
        blame: Blame = "Nobody" if in_place else "Revision"
        refused = failed(without_intent(status), error.reason, str(error), blame, o.now)
        return Step(status=refused, requeue=0.0)
    return Step(status=status, requeue=o.timing.lookup)


def bidding(o: Observation) -> Step:
    """Choose among the bids once they are complete or the time to collect them is over."""
    gone = _gone(o)
    if gone is not None:
        return gone
    if o.market_lease is not None and o.market_lease.state is LeaseState.ACTIVE:
        return Step(status=leased(o, o.market_lease), requeue=0.0)
    choice = choose(o.bids, criteria(o), o.providers, o.now)
    status = replace(o.status, bids=choice.verdicts)
    waited = age(o.status.deployment.ordered_at if o.status.deployment else None, o.now)
    if choice.bid is not None and _may_choose(o, waited):
        return Step(status=_intend(o, status, choice.bid), requeue=0.0)
    if choice.bid is None and waited >= o.timing.bid_timeout:
        return Step(status=_given_up(o, status, choice), requeue=0.0)
    return Step(status=status, requeue=_next_look(o, waited, choice))


def _may_choose(o: Observation, waited: float) -> bool:
    """Siblings choose one after another, so that spreading sees what is taken; none waits for long."""
    if o.yields and o.spread != "None" and waited < 2 * o.timing.collect:
        return False
    return waited >= o.timing.collect or _all_bid(o)


def _next_look(o: Observation, waited: float, choice: Choice) -> float:
    if choice.bid is not None:
        end = o.timing.collect * (2 if o.yields else 1)
        return max(0.05, min(o.timing.poll, end - waited))
    return min(o.timing.poll, max(0.1, waited))


def _gone(o: Observation) -> Step | None:
    """A deployment that somebody else closed leads to nothing: this order is given up."""
    if o.deployment is not None and o.deployment.state.value == "closed":
        status = failed(
            o.status,
            "DeploymentClosed",
            f"deployment {o.deployment.id} was closed on the market before it had a lease",
            "Nobody",
            o.now,
        )
        return Step(status=status, requeue=0.0)
    return None


def criteria(o: Observation) -> Criteria:
    """Return what a bid must satisfy for this lease."""
    ceiling = o.ceiling
    if o.account is not None:
        granted = granted_price(o.lease.meta.uid, o.account.status.grants)
        ceiling = min(ceiling, granted) if granted is not None else ceiling
    return Criteria(
        max_price_per_hour=ceiling,
        policy=o.policy,
        gpu=gpu_ask(o.template.resources.gpu, o.status.model_index) if o.template else None,
        excluded=frozenset(o.lease.spec.excluded_providers),
        spread=o.spread,
        taken=o.taken,
        taken_regions=o.taken_regions,
    )


def _all_bid(o: Observation) -> bool:
    """Whether every known provider that could win has bid already: waiting longer is useless."""
    have = {bid.provider for bid in o.bids}
    wanted = criteria(o)
    return bool(o.providers) and all(
        name in have or not _could_bid(name, o, wanted) for name in sorted(o.providers)
    )


def _could_bid(name: str, o: Observation, wanted: Criteria) -> bool:
    provider = o.providers[name]
    if not provider.status.online:
        return False
    if wanted.gpu and wanted.gpu.model not in {each.model for each in provider.status.gpus}:
        return False
    imagined = Bid(
        deployment="",
        gseq=1,
        oseq=1,
        provider=name,
        price_per_hour=parse_dollars("0"),
        state=BidState.OPEN,
    )
    return not objection(imagined, wanted, provider, o.now)


def _intend(o: Observation, status: LeaseStatus, bid: Bid) -> LeaseStatus:
    intent = Intent(
        action="CreateLease",
        token=o.token,
        at=o.now,
        marker=marker_of(o),
        deployment=bid.deployment,
        provider=bid.provider,
        gseq=bid.gseq,
        oseq=bid.oseq,
        price_per_hour=format_dollars(bid.price_per_hour),
    )
    return replace(enter(status, "Leasing", o.now), intent=intent)


def _given_up(o: Observation, status: LeaseStatus, choice: Choice) -> LeaseStatus:
    gpu = gpu_ask(o.template.resources.gpu, status.model_index) if o.template else None
    reasons = ", ".join(f"{each.provider} {each.verdict}" for each in choice.verdicts[:5])
    attempt = AttemptStatus(
        gpu_model=gpu.model if gpu else None,
        reason="NoAcceptableBid" if choice.verdicts else "NoBids",
        message=(reasons or _silence(o))[:1024],
        at=o.now,
    )
    return enter(replace(status, earlier=(*status.earlier, attempt)[-8:]), "Closing", o.now)


def _silence(o: Observation) -> str:
    """The market shows an order only to those who may take it: the ceiling is worth knowing."""
    ceiling = format_dollars(criteria(o).max_price_per_hour)
    return f"nobody bid up to {ceiling} $/h within {o.timing.bid_timeout:.0f} s"


def leasing(o: Observation) -> Step:
    """Accept the chosen bid, or adopt the lease that an earlier pass got."""
    gone = _gone(o)
    if gone is not None:
        return gone
    if o.market_lease is not None and o.market_lease.state is LeaseState.ACTIVE:
        return Step(status=leased(o, o.market_lease), requeue=0.0)
    intent = o.status.intent
    if intent is None or intent.action != "CreateLease":
        return Step(status=enter(o.status, "Bidding", o.now), requeue=0.0)
    bid = _still_offered(o, intent)
    if bid is None:
        return Step(
            status=without_intent(enter(o.status, "Bidding", o.now)), requeue=o.timing.lookup
        )
    if token_usable(o) and o.template is not None and o.account is not None:
        action = AcceptBid(token=intent.token, bid=bid, order=order(o))
        return Step(status=o.status, action=action, requeue=0.0)
    if age(intent.at, o.now) < o.timing.lookup * 2:
        return Step(status=o.status, requeue=o.timing.lookup)
    return Step(status=_intend(o, o.status, bid), requeue=0.0)


def _still_offered(o: Observation, intent: Intent) -> Bid | None:
    """The bid that the intent names, unless it got dearer or became unacceptable since."""
    named = (intent.provider, intent.gseq, intent.oseq)
    bid = next((each for each in o.bids if (each.provider, each.gseq, each.oseq) == named), None)
    if bid is None or bid.price_per_hour > parse_dollars(intent.price_per_hour or "0"):
        return None
    return None if objection(bid, criteria(o), o.providers.get(bid.provider), o.now) else bid


def accepted(o: Observation, status: LeaseStatus, error: Exception | None) -> Step:
    """Return the step after an accept. The lease itself is read from the market, never assumed."""
    if isinstance(error, RejectedError) and not isinstance(error, FundsError):
        return Step(status=without_intent(enter(status, "Bidding", o.now)), requeue=o.timing.lookup)
    if isinstance(error, FundsError):
        return Step(status=failed(status, error.reason, str(error), "Nobody", o.now), requeue=0.0)
    return Step(status=status, requeue=0.0 if error is None else o.timing.lookup)


def leased(o: Observation, lease: MarketLease) -> LeaseStatus:
    """Return the status with the lease that exists on the market, checked against the ceiling."""
    provider = o.providers.get(lease.provider)
    gpu = gpu_ask(o.template.resources.gpu, o.status.model_index) if o.template else None
    status = replace(
        enter(without_intent(o.status), "Deploying", o.now),
        provider=lease.provider,
        provider_host=provider.status.host if provider else None,
        region=provider.status.region if provider else None,
        gpu_model=gpu.model if gpu else None,
        price_per_hour=shown_dollars(lease.price_per_hour),
        gseq=lease.gseq,
        oseq=lease.oseq,
    )
    ceiling = criteria(o).max_price_per_hour
    if ceiling and lease.price_per_hour > ceiling:
        message = (
            f"{lease.provider} charges {format_dollars(lease.price_per_hour)} $/h, "
            f"more than the ceiling of {format_dollars(ceiling)} $/h"
        )
        return failed(status, "PriceAboveCeiling", message, "Provider", o.now)
    return status
