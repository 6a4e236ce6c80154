"""The order book: every rule of the market as an operation on one account's deployments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from akash_sandbox.market import escrow as escrows
from akash_sandbox.market import refusal
from akash_sandbox.market.bid import Bid, BidState
from akash_sandbox.market.blocks import Blocks
from akash_sandbox.market.deployment import (
    Deployment,
    DeploymentState,
    Group,
    GroupState,
    closed,
    exhausted,
    post_order,
    settled,
    with_bids,
    with_group,
    with_lease,
    with_orders,
)
from akash_sandbox.market.escrow import EscrowState
from akash_sandbox.market.lease import CloseReason, Lease, LeaseKey, LeaseState, Reclamation
from akash_sandbox.market.matching import Offer, Use, consider, demand
from akash_sandbox.market.order import Order, OrderState
from akash_sandbox.market.provider import Provider

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The market's parameters; money in uact."""

    least_deposit: int = 500_000
    bid_timeout_seconds: float = 300
    bids_per_order: int = 20
    least_reclamation_seconds: int = 3600


class Book:
    """One account's deployments. Every operation takes the time; refusals raise RefusalError."""

    def __init__(
        self,
        *,
        blocks: Blocks,
        providers: Sequence[Provider],
        balance: int,
        terms: Terms | None = None,
        deployments: Mapping[str, Deployment] | None = None,
    ) -> None:
        self.blocks = blocks
        self.terms = terms or Terms()
        self.providers = {provider.id: provider for provider in providers}
        self.balance = balance
        self.deployments = dict(deployments or {})

    # -- deployments

    def create(
        self,
        now: float,
        *,
        groups: Sequence[Json],
        manifest_hash: str,
        deposit: int,
        reclamation: int | None = None,
    ) -> Deployment:
        """Post a deployment, one order per group; the market picks the id."""
        self._check_create(groups, deposit, reclamation)
        height = self.blocks.height(now)
        deployment = Deployment(
            dseq=self._fresh_dseq(now),
            state=DeploymentState.ACTIVE,
            hash=manifest_hash,
            created_at=height,
            posted=now,
            groups=tuple(
                Group(gseq=gseq, state=GroupState.OPEN, spec=spec)
                for gseq, spec in enumerate(groups, 1)
            ),
            escrow=escrows.opened(deposit, height),
        )
        for group in deployment.groups:
            deployment = post_order(deployment, group.gseq, height, now)
        self.balance -= deposit
        return self._keep(deployment)

    def close(self, now: float, dseq: str) -> Deployment:
        """Close a deployment with all its leases; what is left of the deposit goes back."""
        deployment = self._active(now, dseq)
        ended, refund = closed(deployment, self.blocks.height(now))
        self.balance += refund
        return self._keep(ended)

    def deposit(self, now: float, dseq: str, amount: int) -> Deployment:
        """Add to a deployment's escrow."""
        deployment = self.settle(now, dseq)
        if amount <= 0:
            raise refusal.deposit_too_low(amount, 1)
        if deployment.escrow.state is EscrowState.CLOSED:
            raise refusal.account_closed()
        if amount > self.balance:
            raise refusal.insufficient_balance()
        account, back = escrows.deposit(deployment.escrow, amount)
        self.balance -= amount - back
        return self._keep(replace(deployment, escrow=account))

    # -- bids and leases

    def post_bids(self, now: float, silent: frozenset[str] = frozenset()) -> list[tuple[str, Bid]]:
        """Let every provider bid that wants to and is not ``silent``; return the new bids."""
        posted: list[tuple[str, Bid]] = []
        for dseq in list(self.deployments):
            for order in _biddable(self.deployments[dseq]):
                for provider in self.providers.values():
                    bid = self._bid(now, self.deployments[dseq], order, provider, silent)
                    if bid is not None:
                        posted.append((dseq, self._add_bid(dseq, bid)))
        return posted

    def expire_bids(self, now: float) -> None:
        """Withdraw the open bids that nobody took in time."""
        oldest = now - self.terms.bid_timeout_seconds
        for deployment in list(self.deployments.values()):
            if any(_stale(bid, oldest) for bid in deployment.bids):
                self._keep(with_bids(deployment, lambda b: _stale(b, oldest), BidState.CLOSED))

    def lease(self, now: float, key: LeaseKey) -> Lease:
        """Turn an open bid into the order's one lease; the other bids are lost."""
        deployment = self.settle(now, key.dseq)
        bid = _bid_of(deployment, key)
        if bid is None:
            raise refusal.bid_not_found()
        if bid.state is not BidState.OPEN:
            raise refusal.bid_not_open()
        order = _order_of(deployment, key)
        if order.state is not OrderState.OPEN:
            raise refusal.order_not_open()
        lease = Lease(
            gseq=key.gseq,
            oseq=key.oseq,
            provider=key.provider,
            state=LeaseState.ACTIVE,
            price=bid.price,
            gpu_key=bid.gpu_key,
            created_at=self.blocks.height(now),
            leased=now,
        )
        self._keep(_taken(replace(deployment, leases=(*deployment.leases, lease)), bid, order))
        return lease

    def close_lease(self, now: float, key: LeaseKey) -> Deployment:
        """End a lease as its tenant; the group is listed again with the next oseq."""
        deployment = self._end_lease(now, key, CloseReason.OWNER)
        if deployment.group(key.gseq).state is GroupState.OPEN:
            deployment = post_order(deployment, key.gseq, self.blocks.height(now), now)
        return self._keep(deployment)

    def close_bid(self, now: float, key: LeaseKey, reason: CloseReason) -> Deployment:
        """End a lease as its provider; the group is paused, the deployment stays open."""
        deployment = self._end_lease(now, key, reason)
        return self._keep(with_group(deployment, key.gseq, GroupState.PAUSED))

    def start_reclaim(self, now: float, key: LeaseKey, seconds: int) -> Lease:
        """Give notice on a lease; it stays active and paid until the deadline."""
        deployment, lease = self._open_lease(now, key)
        notice = Reclamation(
            window_seconds=seconds,
            started_at=self.blocks.height(now),
            deadline=int(now) + seconds,
        )
        changed = replace(lease, state=LeaseState.RECLAIMING, reclamation=notice)
        self._keep(with_lease(deployment, changed))
        return changed

    def reclaim_due(self, now: float) -> list[LeaseKey]:
        """End the leases whose notice has run out; return them."""
        due = [
            deployment.key(lease)
            for deployment in self.deployments.values()
            for lease in deployment.leases
            if lease.is_open and lease.reclamation and lease.reclamation.deadline <= now
        ]
        for key in due:
            self.close_bid(now, key, CloseReason.DECOMMISSION)
        return due

    # -- escrow

    def settle(self, now: float, dseq: str) -> Deployment:
        """Pay the leases of one deployment up to now, as every touch of the chain does."""
        deployment = self.find(dseq)
        return self._keep(settled(deployment, self.blocks.height(now)))

    def settle_all(self, now: float) -> list[str]:
        """Settle everything that is open; return the deployments that ran out of funds."""
        open_ones = [d.dseq for d in self.deployments.values() if d.is_active]
        return [dseq for dseq in open_ones if not self.settle(now, dseq).is_active]

    def exhaust(self, now: float, dseq: str) -> Deployment:
        """Let a deployment run out of money at once, as a fault on request."""
        deployment = self._active(now, dseq)
        drained = replace(deployment, escrow=escrows.drained(deployment.escrow))
        return self._keep(exhausted(drained, self.blocks.height(now)))

    # -- looking

    def find(self, dseq: str) -> Deployment:
        """Return a deployment; raises RefusalError (404) when there is none."""
        deployment = self.deployments.get(dseq)
        if deployment is None:
            raise refusal.deployment_not_found()
        return deployment

    def open_leases(self) -> Iterator[tuple[Deployment, Lease]]:
        for deployment in self.deployments.values():
            for lease in deployment.leases:
                if lease.is_open:
                    yield deployment, lease

    def use(self, provider: str) -> Use:
        """Return what a provider's open leases take."""
        leases = cpu = memory = storage = 0
        gpus: list[tuple[str, int]] = []
        for deployment, lease in self.open_leases():
            if lease.provider != provider:
                continue
            spec = deployment.group(lease.gseq).spec
            need = demand(spec)
            leases, cpu = leases + 1, cpu + need.cpu
            memory, storage = memory + need.memory, storage + need.storage
            if lease.gpu_key:
                count = int(spec["resources"][0]["resource"]["gpu"]["units"]["val"])
                gpus.append((lease.gpu_key.split("/")[3], count))
        return Use(leases=leases, cpu=cpu, memory=memory, storage=storage, gpus=tuple(gpus))

    # -- inside

    def _check_create(self, groups: Sequence[Json], deposit: int, reclamation: int | None) -> None:
        for group in groups:
            for unit in group["resources"]:
                if unit["price"]["denom"] != "uact":
                    raise refusal.wrong_denom(unit["price"]["denom"])
        if reclamation is not None and reclamation < self.terms.least_reclamation_seconds:
            raise refusal.reclamation_too_short()
        if deposit < self.terms.least_deposit:
            raise refusal.deposit_too_low(deposit, self.terms.least_deposit)
        if deposit > self.balance:
            raise refusal.insufficient_balance()

    def _fresh_dseq(self, now: float) -> str:
        dseq = int(now * 1000)
        while str(dseq) in self.deployments:
            dseq += 1
        return str(dseq)

    def _keep(self, deployment: Deployment) -> Deployment:
        self.deployments[deployment.dseq] = deployment
        return deployment

    def _active(self, now: float, dseq: str) -> Deployment:
        deployment = self.settle(now, dseq)
        if not deployment.is_active:
            raise refusal.deployment_closed()
        return deployment

    def _add_bid(self, dseq: str, bid: Bid) -> Bid:
        deployment = self.deployments[dseq]
        self._keep(replace(deployment, bids=(*deployment.bids, bid)))
        return bid

    def _bid(
        self,
        now: float,
        deployment: Deployment,
        order: Order,
        provider: Provider,
        silent: frozenset[str],
    ) -> Bid | None:
        if provider.id in silent or now < order.posted + provider.bid_delay_seconds:
            return None
        of_order = [b for b in deployment.bids if (b.gseq, b.oseq) == (order.gseq, order.oseq)]
        if len(of_order) >= self.terms.bids_per_order:
            return None
        if any(bid.provider == provider.id for bid in of_order):
            return None
        answer = consider(provider, deployment.group(order.gseq).spec, self.use(provider.id))
        if not isinstance(answer, Offer):
            return None
        return Bid(
            gseq=order.gseq,
            oseq=order.oseq,
            provider=provider.id,
            state=BidState.OPEN,
            price=answer.price,
            gpu_key=answer.gpu_key,
            created_at=self.blocks.height(now),
            posted=now,
        )

    def _open_lease(self, now: float, key: LeaseKey) -> tuple[Deployment, Lease]:
        deployment = self.settle(now, key.dseq)
        lease = deployment.lease(key.gseq, key.oseq, key.provider)
        if lease is None:
            raise refusal.lease_not_found()
        if not lease.is_open:
            raise refusal.lease_not_active()
        return deployment, lease

    def _end_lease(self, now: float, key: LeaseKey, reason: CloseReason) -> Deployment:
        deployment, lease = self._open_lease(now, key)
        height = self.blocks.height(now)
        ended = replace(lease, state=LeaseState.CLOSED, reason=reason, closed_on=height)
        deployment = with_lease(deployment, ended)
        deployment = with_bids(deployment, lambda b: _of(b, key), BidState.CLOSED)
        return with_orders(deployment, lambda o: _same_order(o, key), OrderState.CLOSED)


def _biddable(deployment: Deployment) -> list[Order]:
    if not deployment.is_active:
        return []
    return [order for order in deployment.orders if order.state is OrderState.OPEN]


def _stale(bid: Bid, oldest: float) -> bool:
    return bid.state is BidState.OPEN and bid.posted <= oldest


def _same_order(order: Order, key: LeaseKey) -> bool:
    return (order.gseq, order.oseq) == (key.gseq, key.oseq)


def _of(bid: Bid, key: LeaseKey) -> bool:
    return (bid.gseq, bid.oseq, bid.provider) == (key.gseq, key.oseq, key.provider)


def _bid_of(deployment: Deployment, key: LeaseKey) -> Bid | None:
    return next((bid for bid in deployment.bids if _of(bid, key)), None)


def _order_of(deployment: Deployment, key: LeaseKey) -> Order:
    return next(order for order in deployment.orders if _same_order(order, key))


def _taken(deployment: Deployment, bid: Bid, order: Order) -> Deployment:
    def rival(other: Bid) -> bool:
        same = (other.gseq, other.oseq) == (bid.gseq, bid.oseq)
        return same and other.state is BidState.OPEN

    deployment = with_bids(deployment, rival, BidState.LOST)
    deployment = with_bids(deployment, lambda b: b == replace(bid, state=b.state), BidState.ACTIVE)
    return with_orders(deployment, lambda o: o == order, OrderState.ACTIVE)
