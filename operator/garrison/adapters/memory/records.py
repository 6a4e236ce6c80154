"""Deployments of the market in memory: what it and the providers know of them, as of any moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from garrison.adapters.memory.timeline import Timeline
from garrison.api.money import MicroUSD
from garrison.ports.market import Deployment, DeploymentState, LeaseState, MarketLease, Order

GSEQ = OSEQ = 1
EXHAUSTED = "insufficient_funds"
"""Why the market ends a lease whose escrow is empty; the deployment is closed with it."""
HOUR = timedelta(hours=1)


@dataclass(slots=True, kw_only=True)
class LeaseRecord:
    """A lease: what the market and the provider know of it."""

    provider: str
    price: MicroUSD
    since: datetime
    port: int
    closed: datetime | None = None
    reason: str = ""
    reclaim: Timeline[datetime | None] = field(default_factory=lambda: Timeline(None))
    manifest: tuple[datetime, Order] | None = None

    def forwarded(self) -> dict[int, int]:
        """Return the container's ports by the external ones."""
        ports = sorted(self.manifest[1].ports) if self.manifest is not None else ()
        return {self.port + index: port for index, port in enumerate(ports)}

    def open_at(self, moment: datetime) -> bool:
        return self.since <= moment and (self.closed is None or moment < self.closed)

    def view(self, moment: datetime) -> tuple[MarketLease, ...]:
        """Return what the market answers about it at a moment: nothing before it was made."""
        if self.since > moment:
            return ()
        is_open = self.open_at(moment)
        deadline = self.reclaim.at(moment)
        state = LeaseState.CLOSED
        if self.reason == EXHAUSTED and not is_open:
            state = LeaseState.INSUFFICIENT_FUNDS
        if is_open:
            state = LeaseState.RECLAIMING if deadline is not None else LeaseState.ACTIVE
        return (
            MarketLease(
                provider=self.provider,
                gseq=GSEQ,
                oseq=OSEQ,
                state=state,
                price_per_hour=self.price,
                reason="" if is_open else self.reason,
                reclaim_deadline=deadline,
            ),
        )


@dataclass(slots=True, kw_only=True)
class DeploymentRecord:
    """A deployment, its order and its lease."""

    id: str
    order: Order
    since: datetime
    deposits: list[tuple[datetime, MicroUSD]]
    closed: datetime | None = None
    lease: LeaseRecord | None = None
    bids: dict[str, datetime] = field(default_factory=dict)

    def open_at(self, moment: datetime) -> bool:
        return self.since <= moment and (self.closed is None or moment < self.closed)

    def deposited(self, moment: datetime) -> MicroUSD:
        """Return what was put into escrow until a moment."""
        return MicroUSD(sum(amount for at, amount in self.deposits if at <= moment))

    def left(self, moment: datetime) -> MicroUSD:
        """Return what is left in escrow at a moment."""
        return MicroUSD(max(0, self.deposited(moment) - self.spent(moment)))

    def spent(self, moment: datetime) -> MicroUSD:
        """Return what the lease has cost until a moment, rounded up."""
        if self.lease is None or moment <= self.lease.since:
            return MicroUSD(0)
        until = min(moment, self.lease.closed or moment, self.closed or moment)
        return MicroUSD(-(-self.lease.price * (until - self.lease.since) // HOUR))

    def view(self, moment: datetime) -> Deployment:
        """Return what the market answers about it at a moment."""
        is_open = self.open_at(moment)
        return Deployment(
            id=self.id,
            marker=self.order.marker,
            state=DeploymentState.ACTIVE if is_open else DeploymentState.CLOSED,
            leases=self.lease.view(moment) if self.lease else (),
            escrow=self.left(moment) if is_open else None,
            spent=self.spent(moment),
        )
