"""What providers do in the market, and what the ones of this market do by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from akash_sandbox.market import escrow as escrows
from akash_sandbox.market import ids, refusal
from akash_sandbox.market.bank import UACT
from akash_sandbox.market.bid import Bid, BidState
from akash_sandbox.market.book import Book
from akash_sandbox.market.decimals import UNIT, parsed, text
from akash_sandbox.market.deployment import Deployment, GroupState, with_group, with_lease
from akash_sandbox.market.escrow import Source
from akash_sandbox.market.lease import CloseReason, Lease, LeaseKey, LeaseState, Reclamation
from akash_sandbox.market.matching import Offer, consider
from akash_sandbox.market.order import Order, OrderState
from akash_sandbox.market.provider import Provider
from akash_sandbox.market.tenant_side import found_lease, open_lease

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coins:
    """A deposit that a provider makes."""

    amount: int
    denom: str = UACT
    sources: tuple[Source, ...] = (Source.BALANCE,)


class ProviderSide:
    """Bids and what follows from them. Refusals raise RefusalError."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def bid(
        self,
        now: float,
        key: LeaseKey,
        *,
        price: int,
        denom: str = UACT,
        deposit: Coins,
        offer: Sequence[Json] = (),
        window: int | None = None,
    ) -> Bid:
        """Offer to take an order at ``price`` per block, with 18 decimals."""
        if deposit.amount < (least := self._book.terms.least_bid_deposit):
            words = f"{deposit.amount}{deposit.denom} [{_sources(deposit.sources)}]"
            raise refusal.bid_deposit_too_low(words, least)
        deployment, order = self._order(key)
        if order.state is not OrderState.OPEN:
            raise refusal.order_not_open()
        spec = deployment.group(key.gseq).spec
        if denom != UACT or price > ceiling(spec):
            raise refusal.bid_price_invalid()
        self._check_fit(key.provider, spec, offer)
        self._check_window(deployment, window)
        if deployment.bid(key.gseq, key.oseq, key.provider) is not None:
            raise refusal.bid_exists()
        bid = Bid(
            gseq=key.gseq,
            oseq=key.oseq,
            provider=key.provider,
            state=BidState.OPEN,
            price=price,
            gpu_key="",
            created_at=self._book.blocks.height(now),
            posted=now,
            offer=tuple(offer),
            window_seconds=window or 0,
        )
        return self._posted(now, deployment, bid, deposit)

    def close_bid(self, now: float, key: LeaseKey, reason: CloseReason) -> Deployment:
        """Take a bid back; a lease of it ends, and its group is paused.

        A lease under notice ends only after the deadline, whatever the reason.
        """
        deployment = self._book.get(key.owner, key.dseq)
        bid = deployment.bid(key.gseq, key.oseq, key.provider) if deployment is not None else None
        if deployment is None or bid is None:
            raise refusal.bid_not_found()
        if bid.state is BidState.OPEN:
            height = self._book.blocks.height(now)
            return self._book.keep(self._book.end_bid(deployment, bid, BidState.CLOSED, height))
        lease = deployment.lease(key.gseq, key.oseq, key.provider)
        if lease is not None and lease.is_open:
            _check_notice(lease, now)
        return self.end(now, key, reason)

    def end(self, now: float, key: LeaseKey, reason: CloseReason) -> Deployment:
        """End a lease as its provider without asking for notice."""
        deployment, lease = open_lease(self._book, now, key)
        height = self._book.blocks.height(now)
        order = deployment.order(key.gseq, key.oseq)
        deployment = self._book.end_lease(deployment, lease, height, LeaseState.CLOSED, reason)
        if order is not None:
            deployment = self._book.end_order(deployment, order, height)
        paused = ids.group(deployment, key.gseq)
        self._book.events.typed(f"{ids.DEPLOYMENT}EventGroupPaused", id=paused)
        return self._book.keep(with_group(deployment, key.gseq, GroupState.PAUSED))

    def withdraw(self, now: float, key: LeaseKey) -> Deployment:
        """Take the whole coins that a lease has earned."""
        deployment = self._book.get(key.owner, key.dseq)
        lease = (
            deployment.lease(key.gseq, key.oseq, key.provider) if deployment is not None else None
        )
        if deployment is None or lease is None:
            raise refusal.lease_not_found()
        deployment = self._book.settle(now, deployment)
        settled = deployment.lease(key.gseq, key.oseq, key.provider)
        if settled is not None and settled.is_open:
            deployment, _ = self._book.paid_out(deployment, settled)
        return self._book.keep(deployment)

    def give_notice(self, now: float, key: LeaseKey, reason: CloseReason) -> Lease:
        """Start to reclaim a lease that was made with a window for it."""
        deployment, lease = found_lease(self._book, key)
        if not lease.window_seconds:
            raise refusal.not_reclaimable()
        if lease.reclamation is not None:
            raise refusal.already_reclaiming()
        return self._noticed(now, deployment, lease, lease.window_seconds, reason)

    def start_reclaim(self, now: float, key: LeaseKey, seconds: int) -> Lease:
        """Give notice on any lease, as a fault on request; it is paid until the deadline."""
        deployment, lease = open_lease(self._book, now, key)
        return self._noticed(now, deployment, lease, seconds, CloseReason.DECOMMISSION)

    # -- what this market's own providers do by themselves

    def post_bids(self, now: float, silent: frozenset[str] = frozenset()) -> None:
        """Let every provider bid that wants to and is not ``silent``."""
        for id_ in list(self._book.deployments):
            for order in _biddable(self._book.deployments[id_]):
                for provider in self._book.providers.values():
                    self._maybe_bid(now, self._book.deployments[id_], order, provider, silent)

    def expire_bids(self, now: float) -> None:
        """Withdraw the open bids that nobody took in time."""
        oldest, height = now - self._book.terms.bid_timeout_seconds, self._book.blocks.height(now)
        for deployment in list(self._book.deployments.values()):
            changed = deployment
            for bid in deployment.bids:
                if bid.provider in self._book.providers and _stale(bid, oldest):
                    changed = self._book.end_bid(changed, bid, BidState.CLOSED, height)
            if changed is not deployment:
                self._book.keep(changed)

    def reclaim_due(self, now: float) -> None:
        """End the leases whose notice has run out."""
        due = [
            deployment.key(lease)
            for deployment, lease in self._book.open_leases()
            if lease.provider in self._book.providers
            if lease.reclamation and lease.reclamation.deadline <= now
        ]
        for key in due:
            self.end(now, key, CloseReason.DECOMMISSION)

    def withdraw_all(self, now: float) -> None:
        """Let the providers take what they earned, which settles those deployments."""
        earning = [
            deployment.key(lease)
            for deployment, lease in self._book.open_leases()
            if lease.provider in self._book.providers
        ]
        for key in earning:
            self.withdraw(now, key)

    def exhaust(self, now: float, owner: str, dseq: str) -> Deployment:
        """Let a deployment run out of money at once, as a fault on request."""
        deployment = self._book.settle(now, self._book.find(owner, dseq))
        if not deployment.is_active:
            raise refusal.deployment_closed()
        account, left = escrows.drained(deployment.escrow)
        open_ones = [lease for lease in deployment.leases if lease.is_open]
        deployment = replace(deployment, escrow=account)
        if open_ones:
            earned = replace(open_ones[0], balance=open_ones[0].balance + left)
            deployment = with_lease(deployment, earned)
        return self._book.exhausted(deployment, self._book.blocks.height(now))

    # -- inside

    def _order(self, key: LeaseKey) -> tuple[Deployment, Order]:
        deployment = self._book.get(key.owner, key.dseq)
        order = deployment.order(key.gseq, key.oseq) if deployment is not None else None
        if deployment is None or order is None:
            raise refusal.order_not_found()
        return deployment, order

    def _check_fit(self, provider: str, spec: Json, offer: Sequence[Json]) -> None:
        if not _offered(spec, offer):
            raise refusal.capabilities_mismatch()
        if self._book.records.provider(provider) is None:
            raise refusal.unknown_provider()
        if not self._book.records.meets(provider, spec["requirements"]):
            raise refusal.attribute_mismatch()

    def _check_window(self, deployment: Deployment, window: int | None) -> None:
        least = deployment.reclamation
        if least is not None and window is None:
            raise refusal.reclamation_required()
        if least is not None and window is not None and window < least:
            raise refusal.window_too_short()

    def _posted(
        self,
        now: float,
        deployment: Deployment,
        bid: Bid,
        deposit: Coins,
    ) -> Bid:
        self._book.events.typed(
            f"{ids.MARKET}EventBidCreated",
            id=ids.bid(deployment, bid.gseq, bid.oseq, bid.provider),
            price={"denom": UACT, "amount": text(bid.price)},
        )
        (paid, *more) = self._book.purse.collect(
            now,
            signer=bid.provider,
            denom=deposit.denom,
            amount=deposit.amount,
            sources=deposit.sources,
            scope="bid",
            height=bid.created_at,
        )
        if more:
            raise refusal.insufficient_balance()
        posted = replace(
            bid,
            deposit=deposit.amount,
            denom=deposit.denom,
            payer=paid.owner,
            source=paid.source,
        )
        self._book.keep(replace(deployment, bids=(*deployment.bids, posted)))
        return posted

    def _noticed(
        self, now: float, deployment: Deployment, lease: Lease, seconds: int, reason: CloseReason
    ) -> Lease:
        deadline = int(now) + seconds
        notice = Reclamation(
            window_seconds=seconds,
            started_at=self._book.blocks.height(now),
            deadline=deadline,
            reason=reason,
        )
        changed = replace(lease, state=LeaseState.RECLAIMING, reclamation=notice)
        self._book.keep(with_lease(deployment, changed))
        self._book.events.typed(
            f"{ids.MARKET}EventLeaseReclaimStarted",
            id=ids.bid(deployment, lease.gseq, lease.oseq, lease.provider),
            reason=reason.value,
            deadline=str(deadline),
        )
        return changed

    def _maybe_bid(
        self,
        now: float,
        deployment: Deployment,
        order: Order,
        provider: Provider,
        silent: frozenset[str],
    ) -> None:
        if provider.id in silent or now < order.posted + provider.bid_delay_seconds:
            return
        of_order = [b for b in deployment.bids if (b.gseq, b.oseq) == (order.gseq, order.oseq)]
        full = len(of_order) >= self._book.terms.bids_per_order
        if full or any(bid.provider == provider.id for bid in of_order):
            return
        group = deployment.group(order.gseq).spec
        offer = consider(provider, group, self._book.use(provider.id))
        if not isinstance(offer, Offer):
            return
        bid = Bid(
            gseq=order.gseq,
            oseq=order.oseq,
            provider=provider.id,
            state=BidState.OPEN,
            price=offer.price * UNIT,
            gpu_key=offer.gpu_key,
            created_at=self._book.blocks.height(now),
            posted=now,
            window_seconds=deployment.reclamation or 0,
        )
        self._posted(now, deployment, bid, Coins(amount=self._book.terms.least_bid_deposit))


def ceiling(group: Json) -> int:
    """Return the most that an order pays per block, with 18 decimals."""
    return sum(parsed(unit["price"]["amount"]) * int(unit["count"]) for unit in group["resources"])


def _sources(sources: Sequence[Source]) -> str:
    return " ".join(source.value for source in sources)


def _offered(group: Json, offer: Sequence[Json]) -> bool:
    """Return whether an offer has the group's resources, count by count."""
    units = group["resources"]
    return len(offer) == len(units) and all(
        _same(o["resources"], unit["resource"]) and int(o["count"]) == int(unit["count"])
        for o, unit in zip(offer, units, strict=True)
    )


def _same(offered: Json, wanted: Json) -> bool:
    return (
        offered["cpu"]["units"] == wanted["cpu"]["units"]
        and offered["memory"]["quantity"] == wanted["memory"]["quantity"]
        and offered["gpu"]["units"] == wanted["gpu"]["units"]
        and [s["quantity"] for s in offered["storage"]]
        == [s["quantity"] for s in wanted["storage"]]
    )


def _check_notice(lease: Lease, now: float) -> None:
    if lease.window_seconds and lease.reclamation is None:
        raise refusal.reclaim_not_started()
    if lease.reclamation is not None and lease.reclamation.deadline > now:
        raise refusal.window_not_elapsed()


def _biddable(deployment: Deployment) -> list[Order]:
    if not deployment.is_active:
        return []
    return [order for order in deployment.orders if order.state is OrderState.OPEN]


def _stale(bid: Bid, oldest: float) -> bool:
    return bid.state is BidState.OPEN and bid.posted <= oldest
