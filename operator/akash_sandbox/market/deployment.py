"""A deployment with all that hangs on it, and what may happen to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from akash_sandbox.market import escrow as escrows
from akash_sandbox.market.bid import Bid
from akash_sandbox.market.escrow import Escrow
from akash_sandbox.market.lease import Lease, LeaseKey
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
    """Heights are block heights, ``posted`` is in Unix seconds, ``hash`` is hexadecimal.

    ``reclamation`` is the least notice in seconds that a provider must give, None for none.
    """

    owner: str
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
    reclamation: int | None = None

    @property
    def id(self) -> str:
        """Its name among all accounts' deployments."""
        return f"{self.owner}/{self.dseq}"

    @property
    def is_active(self) -> bool:
        return self.state is DeploymentState.ACTIVE

    @property
    def rate(self) -> int:
        """What all open leases cost together, in uact per block with 18 decimals."""
        return sum(lease.price for lease in self.leases if lease.is_open)

    def group(self, gseq: int) -> Group:
        return self.groups[gseq - 1]

    def key(self, lease: Lease) -> LeaseKey:
        return LeaseKey(
            owner=self.owner,
            dseq=self.dseq,
            gseq=lease.gseq,
            oseq=lease.oseq,
            provider=lease.provider,
        )

    def order(self, gseq: int, oseq: int) -> Order | None:
        found = (o for o in self.orders if (o.gseq, o.oseq) == (gseq, oseq))
        return next(found, None)

    def bid(self, gseq: int, oseq: int, provider: str) -> Bid | None:
        key = (gseq, oseq, provider)
        return next((b for b in self.bids if (b.gseq, b.oseq, b.provider) == key), None)

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


def with_bid(deployment: Deployment, changed: Bid) -> Deployment:
    """Return the deployment with one bid replaced."""
    key = (changed.gseq, changed.oseq, changed.provider)
    return replace(
        deployment,
        bids=tuple(changed if (b.gseq, b.oseq, b.provider) == key else b for b in deployment.bids),
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

    An escrow that cannot pay is overdrawn afterwards; what follows from it is the book's part.
    """
    blocks = height - deployment.escrow.settled_at
    escrow, paid = escrows.settle(deployment.escrow, deployment.rate, height)
    if escrow is deployment.escrow:
        return deployment
    return replace(_credited(deployment, paid, blocks), escrow=escrow)


def _credited(deployment: Deployment, paid: int, blocks: int) -> Deployment:
    """Share what was paid among the leases: in full, else by their prices."""
    rate, left = deployment.rate, paid
    for lease in deployment.leases:
        if lease.is_open:
            owed = lease.price * blocks
            part = min(owed, left, owed if paid == rate * blocks else paid * lease.price // rate)
            left -= part
            changed = replace(
                lease, balance=lease.balance + part, unsettled=lease.unsettled + owed - part
            )
            deployment = with_lease(deployment, changed)
    return deployment
