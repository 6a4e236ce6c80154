"""The order book: every deployment of every account, and what settling one entails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from akash_sandbox.market import escrow as escrows
from akash_sandbox.market import ids, refusal
from akash_sandbox.market.bank import ESCROW, UACT, Bank
from akash_sandbox.market.bid import Bid, BidState
from akash_sandbox.market.blocks import Blocks
from akash_sandbox.market.decimals import UNIT, floor
from akash_sandbox.market.deployment import (
    Deployment,
    DeploymentState,
    GroupState,
    settled,
    with_bid,
    with_group,
    with_lease,
    with_orders,
)
from akash_sandbox.market.escrow import EscrowState, Refund
from akash_sandbox.market.events import Events
from akash_sandbox.market.grants import Grants
from akash_sandbox.market.lease import CloseReason, Lease, LeaseState
from akash_sandbox.market.matching import Use, demand
from akash_sandbox.market.order import Order, OrderState
from akash_sandbox.market.provider import Provider
from akash_sandbox.market.purse import Purse
from akash_sandbox.market.records import Records

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The market's parameters; money in whole uact."""

    least_deposit: int = 500_000
    least_bid_deposit: int = 500_000
    bid_timeout_seconds: float = 300
    bids_per_order: int = 20
    least_reclamation_seconds: int = 3600
    greatest_reclamation_seconds: int = 2_592_000


class Book:
    """All deployments. Operations on them are in ``TenantSide`` and ``ProviderSide``.

    ``providers`` are the ones that this market runs itself.
    """

    def __init__(
        self,
        *,
        blocks: Blocks,
        providers: Sequence[Provider],
        bank: Bank,
        events: Events,
        terms: Terms | None = None,
        grants: Grants | None = None,
        records: Records | None = None,
        deployments: Mapping[str, Deployment] | None = None,
    ) -> None:
        self.blocks = blocks
        self.terms = terms or Terms()
        self.providers = {provider.id: provider for provider in providers}
        self.bank = bank
        self.events = events
        self.grants = grants or Grants()
        self.records = records or Records()
        self.purse = Purse(bank, self.grants)
        self.deployments = dict(deployments or {})

    # -- looking

    def get(self, owner: str, dseq: str) -> Deployment | None:
        return self.deployments.get(f"{owner}/{dseq}")

    def find(self, owner: str, dseq: str) -> Deployment:
        """Return a deployment; raises RefusalError (404) when there is none."""
        deployment = self.get(owner, dseq)
        if deployment is None:
            raise refusal.deployment_not_found()
        return deployment

    def of(self, owner: str) -> list[Deployment]:
        """Return an account's deployments, the oldest first."""
        return [d for d in self.deployments.values() if d.owner == owner]

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

    # -- settling and ending, of which every operation is made

    def keep(self, deployment: Deployment) -> Deployment:
        self.deployments[deployment.id] = deployment
        return deployment

    def settle(self, now: float, deployment: Deployment) -> Deployment:
        """Pay the leases of a deployment up to now, as every touch of the chain does.

        When the escrow cannot pay, leases end with insufficient funds and the deployment closes.
        """
        height = self.blocks.height(now)
        paid = settled(deployment, height)
        if paid.is_active and paid.escrow.state is EscrowState.OVERDRAWN:
            paid = self.exhausted(paid, height)
        return self.keep(paid)

    def exhausted(self, deployment: Deployment, height: int) -> Deployment:
        """Return the deployment closed for want of money."""
        state, reason = LeaseState.INSUFFICIENT_FUNDS, CloseReason.INSUFFICIENT_FUNDS
        self.events.typed(f"{ids.DEPLOYMENT}EventDeploymentClosed", id=ids.deployment(deployment))
        for group in deployment.groups:
            deployment = self.end_group(deployment, group.gseq, height, state, reason)
            if group.state is GroupState.OPEN:
                self.events.typed(
                    f"{ids.DEPLOYMENT}EventGroupClosed", id=ids.group(deployment, group.gseq)
                )
                deployment = with_group(deployment, group.gseq, GroupState.INSUFFICIENT_FUNDS)
        return self.keep(replace(deployment, state=DeploymentState.CLOSED))

    def end_group(
        self,
        deployment: Deployment,
        gseq: int,
        height: int,
        state: LeaseState = LeaseState.CLOSED,
        reason: CloseReason = CloseReason.OWNER,
    ) -> Deployment:
        """Return the deployment without live orders, bids and leases in one group."""
        for order in deployment.orders:
            if order.gseq == gseq and order.state is not OrderState.CLOSED:
                deployment = self.end_order(deployment, order, height)
        for lease in deployment.leases:
            if lease.gseq == gseq and lease.is_open:
                deployment = self.end_lease(deployment, lease, height, state, reason)
        return deployment

    def end_order(self, deployment: Deployment, order: Order, height: int) -> Deployment:
        """Return the deployment with an order and its bids closed."""
        key = ids.order(deployment, order.gseq, order.oseq)
        self.events.typed(f"{ids.MARKET}EventOrderClosed", id=key)
        for bid in deployment.bids:
            if (bid.gseq, bid.oseq) == (order.gseq, order.oseq) and bid.is_live:
                deployment = self.end_bid(deployment, bid, BidState.CLOSED, height)
        return with_orders(deployment, lambda o: o == order, OrderState.CLOSED)

    def end_bid(self, deployment: Deployment, bid: Bid, state: BidState, height: int) -> Deployment:
        """Return the deployment with a bid ended; the provider gets its deposit back."""
        if bid.deposit:
            refund = Refund(owner=bid.payer, source=bid.source, denom=bid.denom, amount=bid.deposit)
            self.purse.give_back(bid.provider, [refund])
        if state is BidState.CLOSED:
            key = ids.bid(deployment, bid.gseq, bid.oseq, bid.provider)
            self.events.typed(f"{ids.MARKET}EventBidClosed", id=key)
        return with_bid(deployment, replace(bid, state=state, deposit=0, closed_at=height))

    def end_lease(
        self,
        deployment: Deployment,
        lease: Lease,
        height: int,
        state: LeaseState,
        reason: CloseReason,
    ) -> Deployment:
        """Return the deployment with a lease ended and paid out."""
        deployment, lease = self.paid_out(deployment, lease)
        escrow = deployment.escrow
        if escrow.state is EscrowState.OPEN:
            escrow = escrows.returned(escrow, lease.balance)
        ended = replace(lease, balance=0, state=state, reason=reason, closed_on=height)
        key = ids.bid(deployment, lease.gseq, lease.oseq, lease.provider)
        self.events.typed(f"{ids.MARKET}EventLeaseClosed", id=key, reason=reason.value)
        return with_lease(replace(deployment, escrow=escrow), ended)

    def paid_out(self, deployment: Deployment, lease: Lease) -> tuple[Deployment, Lease]:
        """Return both after the provider withdrew the whole coins of what it earned."""
        whole = floor(lease.balance)
        self.bank.send(ESCROW, lease.provider, UACT, whole)
        changed = replace(
            lease, balance=lease.balance - whole * UNIT, withdrawn=lease.withdrawn + whole
        )
        return with_lease(deployment, changed), changed
