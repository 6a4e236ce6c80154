"""A deployment with all that hangs on it, and what may happen to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from akash_sandbox.market import escrow as escrows
from akash_sandbox.market.bid import Bid, BidState
from akash_sandbox.market.escrow import Escrow, EscrowState
from akash_sandbox.market.lease import CloseReason, Lease, LeaseKey, LeaseState
from akash_sandbox.market.order import Order, OrderState


class DeploymentState(StrEnum):
    ACTIVE = "active"
    CLOSED = "closed"


class GroupState(StrEnum):
    OPEN = "open"
    PAUSED = "paused"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group; ``spec`` is its JSON as compiled from the SDL, ``name`` the placement's name."""

    gseq: int
    state: GroupState
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.spec["name"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Heights are block heights, ``posted`` is in Unix seconds, ``hash`` is hexadecimal."""

    dseq: str
    state: DeploymentState
    hash: str
    created_at: int
    posted: float
    groups: tuple[Group, ...]
    escrow: Escrow
    orders: tuple[Order, ...] = ()
    bids: tuple[Bid, ...] = ()
    leases: tuple[Lease, ...] = ()

    @property
    def is_active(self) -> bool:
        return self.state is DeploymentState.ACTIVE

    @property
    def rate(self) -> int:
        """What all open leases cost together, in uact per block."""
        return sum(lease.price for lease in self.leases if lease.is_open)

    def group(self, gseq: int) -> Group:
        return self.groups[gseq - 1]

    def key(self, lease: Lease) -> LeaseKey:
        return LeaseKey(dseq=self.dseq, gseq=lease.gseq, oseq=lease.oseq, provider=lease.provider)

    def lease(self, gseq: int, oseq: int, provider: str = "") -> Lease | None:
        """Return an order's lease, in whatever state; an order never has two."""
        for lease in self.leases:
            if (lease.gseq, lease.oseq) == (gseq, oseq) and provider in ("", lease.provider):
                return lease
        return None


def post_order(deployment: Deployment, gseq: int, height: int, now: float) -> Deployment:
    """Return the deployment with the group's next order open."""
    oseq = 1 + max((o.oseq for o in deployment.orders if o.gseq == gseq), default=0)
    order = Order(gseq=gseq, oseq=oseq, state=OrderState.OPEN, created_at=height, posted=now)
    return replace(deployment, orders=(*deployment.orders, order))


def with_group(deployment: Deployment, gseq: int, state: GroupState) -> Deployment:
    return replace(
        deployment,
        groups=tuple(replace(g, state=state) if g.gseq == gseq else g for g in deployment.groups),
    )


def with_orders(
    deployment: Deployment, chosen: Callable[[Order], bool], state: OrderState
) -> Deployment:
    return replace(
        deployment,
        orders=tuple(replace(o, state=state) if chosen(o) else o for o in deployment.orders),
    )


def with_bids(deployment: Deployment, chosen: Callable[[Bid], bool], state: BidState) -> Deployment:
    return replace(
        deployment, bids=tuple(replace(b, state=state) if chosen(b) else b for b in deployment.bids)
    )


def with_lease(deployment: Deployment, changed: Lease) -> Deployment:
    """Return the deployment with one lease replaced."""
    return replace(
        deployment,
        leases=tuple(
            changed if (x.gseq, x.oseq) == (changed.gseq, changed.oseq) else x
            for x in deployment.leases
        ),
    )


def settled(deployment: Deployment, height: int) -> Deployment:
    """Return the deployment after paying its leases up to ``height``.

    When the escrow cannot pay, leases end with insufficient funds and the deployment closes.
    """
    escrow = escrows.settle(deployment.escrow, deployment.rate, height)
    if escrow is deployment.escrow:
        return deployment
    paid = replace(deployment, escrow=escrow)
    if paid.escrow.state is EscrowState.OVERDRAWN and paid.is_active:
        return exhausted(paid, height)
    return paid


def exhausted(deployment: Deployment, height: int) -> Deployment:
    """Return the deployment closed for want of money."""
    ended = end_leases(
        deployment, height, LeaseState.INSUFFICIENT_FUNDS, CloseReason.INSUFFICIENT_FUNDS
    )
    groups = tuple(
        replace(g, state=GroupState.INSUFFICIENT_FUNDS) if g.state is GroupState.OPEN else g
        for g in ended.groups
    )
    return replace(_withdrawn(ended), groups=groups, state=DeploymentState.CLOSED)


def closed(deployment: Deployment, height: int) -> tuple[Deployment, int]:
    """Return the closed deployment and the refund in uact; the escrow must be settled before."""
    ended = end_leases(deployment, height, LeaseState.CLOSED, CloseReason.OWNER)
    groups = tuple(replace(g, state=GroupState.CLOSED) for g in ended.groups)
    account, refund = escrows.close(ended.escrow)
    ended = replace(_withdrawn(ended), groups=groups, escrow=account, state=DeploymentState.CLOSED)
    return ended, refund


def end_leases(
    deployment: Deployment, height: int, state: LeaseState, reason: CloseReason
) -> Deployment:
    """Return the deployment with every open lease ended for one reason."""
    return replace(
        deployment,
        leases=tuple(
            replace(lease, state=state, reason=reason, closed_on=height) if lease.is_open else lease
            for lease in deployment.leases
        ),
    )


def _withdrawn(deployment: Deployment) -> Deployment:
    live = (BidState.OPEN, BidState.ACTIVE)
    deployment = with_bids(deployment, lambda bid: bid.state in live, BidState.CLOSED)
    return with_orders(deployment, lambda _order: True, OrderState.CLOSED)
