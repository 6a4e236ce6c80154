"""A market in memory, under virtual time, with faults: one account, several providers.

What it holds is a log of moments (created, leased, closed), so that a stale read is answered as of
an earlier moment without any snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from garrison.adapters.memory.faults import Call, Faults, Hook, calm
from garrison.adapters.memory.provider import MemoryProvider
from garrison.adapters.memory.records import (
    EXHAUSTED,
    GSEQ,
    HOUR,
    OSEQ,
    DeploymentRecord,
    LeaseRecord,
)
from garrison.adapters.memory.timeline import Timeline
from garrison.api.money import MicroUSD
from garrison.errors import AlreadyExistsError, FundsError, GarrisonError, RejectedError
from garrison.ports.clock import Clock
from garrison.ports.market import (
    Balance,
    Bid,
    BidState,
    Deployment,
    EndpointFact,
    MarketTraits,
    Order,
    ProviderFact,
)

T = TypeVar("T")

HORIZON = timedelta(seconds=120)
BALANCE = MicroUSD(1_000_000_000)
FIRST_PORT = 30_000
PORTS_OF_A_LEASE = 4


class MemoryMarket:
    """Implements ``Market``. ``deployments`` and ``providers_by_id`` are the truth, for checks.

    One that does not keep ids lets its callers choose them, and gives its own all the same.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        providers: Iterable[MemoryProvider],
        hook: Hook = calm,
        chooses_id: bool = False,
        keeps_ids: bool = True,
        horizon: timedelta = HORIZON,
        balance: MicroUSD = BALANCE,
    ) -> None:
        self._clock = clock
        self._pending: list[tuple[datetime, int, Callable[[datetime], object]]] = []
        self.faults = Faults(clock, hook, self.later, horizon)
        self.providers_by_id = {each.id: each for each in providers}
        self.alive: dict[str, Timeline[bool]] = {
            each: Timeline(first=True) for each in self.providers_by_id
        }
        self.deployments: dict[str, DeploymentRecord] = {}
        self.balance_available = balance
        self.happened = 0
        """how much has happened by itself: late effects, and escrows that ran out"""
        self._traits = MarketTraits(chooses_id=chooses_id, outcome_horizon=horizon)
        self._keeps_ids = keeps_ids
        self._ids = 1000
        self._ports = FIRST_PORT

    @property
    def traits(self) -> MarketTraits:
        return self._traits

    def propose_id(self) -> str | None:
        """Return a fresh id where the caller chooses it."""
        if not self._traits.chooses_id:
            return None
        self._ids += 1
        return str(self._ids)

    def later(self, at: datetime, effect: Callable[[datetime], object]) -> None:
        """Let something happen at a time."""
        self._pending.append((at, len(self._pending), effect))

    def credit(self, amount: MicroUSD) -> None:
        """Add to what can be deposited."""
        self.balance_available = MicroUSD(self.balance_available + amount)

    def now(self) -> datetime:
        """Return the market's time."""
        return self._clock.now()

    def settle(self) -> None:
        """Let everything happen that was due until now."""
        now = self._clock.now()
        for at, _, effect in self._due(now):
            for record in self.deployments.values():
                self._exhaust(record, at)
            self.happened += 1
            try:
                effect(at)
            except GarrisonError:  # the lost caller never hears of it
                continue
        for record in self.deployments.values():
            if record.closed is None:
                self._exhaust(record, now)

    def _due(self, now: datetime) -> list[tuple[datetime, int, Callable[[datetime], object]]]:
        due = sorted(each for each in self._pending if each[0] <= now)
        if due:
            self._pending = [each for each in self._pending if each[0] > now]
        return due

    def _exhaust(self, record: DeploymentRecord, now: datetime) -> None:
        lease = record.lease
        if (
            record.closed is not None
            or lease is None
            or lease.closed is not None
            or record.left(now)
        ):
            return
        held = record.deposited(now)
        lease.closed = record.closed = lease.since + HOUR * held / max(1, lease.price)
        lease.reason = EXHAUSTED
        self.happened += 1

    async def create(self, order: Order, deployment_id: str | None) -> Deployment:
        """Post an order; bids come after each provider's delay."""

        def effect(now: datetime) -> Deployment:
            return self._created(order, deployment_id, now).view(now)

        call = Call(port="market", operation="create", write=True, subject=order.marker)
        self.settle()
        return await self.faults.write(call, effect)

    def _created(self, order: Order, chosen: str | None, now: datetime) -> DeploymentRecord:
        if not self._keeps_ids:
            chosen = None
        if chosen is not None and chosen in self.deployments:
            raise AlreadyExistsError(f"deployment {chosen} exists already")
        if order.deposit > self.balance_available:
            raise FundsError(f"{order.deposit} micro-dollars are not there to be deposited")
        if chosen is None:
            self._ids += 1
        record = DeploymentRecord(
            id=chosen or str(self._ids),
            order=order,
            since=now,
            deposits=[(now, order.deposit)],
        )
        self.balance_available = MicroUSD(self.balance_available - order.deposit)
        for provider in self.providers_by_id.values():
            if self._bids_on(provider, order, now):
                record.bids[provider.id] = now + provider.bid_delay
        self.deployments[record.id] = record
        return record

    def _bids_on(self, provider: MemoryProvider, order: Order, now: datetime) -> bool:
        held = sum(
            each.lease is not None and each.lease.provider == provider.id and each.open_at(now)
            for each in self.deployments.values()
        )
        alive = self.alive[provider.id].at(now)
        return provider.bids and alive and held < provider.capacity and provider.can_host(order)

    async def deployment(self, deployment_id: str) -> Deployment | None:
        """Return a deployment as of the moment that the fault allows."""

        def answer(moment: datetime) -> Deployment | None:
            record = self.deployments.get(deployment_id)
            if record is None or record.since > moment:
                return None
            return record.view(moment)

        return await self._read("deployment", deployment_id, answer)

    async def _read(self, operation: str, subject: str, answer: Callable[[datetime], T]) -> T:
        self.settle()
        call = Call(port="market", operation=operation, write=False, subject=subject)
        return await self.faults.read(call, answer)

    async def open_deployments(self) -> Sequence[Deployment]:
        """Return the open deployments without their leases, as a listing does."""

        def answer(moment: datetime) -> Sequence[Deployment]:
            return [
                replace(each.view(moment), leases=())
                for each in self.deployments.values()
                if each.open_at(moment)
            ]

        return await self._read("open_deployments", "", answer)

    async def bids(self, deployment_id: str) -> Sequence[Bid]:
        """Return the bids that have come in."""

        def answer(moment: datetime) -> Sequence[Bid]:
            record = self.deployments.get(deployment_id)
            if record is None or not record.open_at(moment):
                return []
            return [
                self._bid(record, provider, moment)
                for provider, at in record.bids.items()
                if at <= moment
            ]

        return await self._read("bids", deployment_id, answer)

    def _bid(self, record: DeploymentRecord, provider: str, moment: datetime) -> Bid:
        lease = record.lease
        state = BidState.OPEN
        if lease is not None and lease.since <= moment:
            state = BidState.ACTIVE if lease.provider == provider else BidState.LOST
        elif not self.alive[provider].at(moment):
            state = BidState.CLOSED
        gpu = record.order.gpu
        return Bid(
            deployment=record.id,
            gseq=GSEQ,
            oseq=OSEQ,
            provider=provider,
            price_per_hour=self.providers_by_id[provider].price_per_hour,
            state=state,
            gpu_model=gpu.model if gpu else None,
        )

    async def accept(self, bid: Bid, order: Order) -> None:
        """Create the lease; an order takes one lease only."""

        def effect(now: datetime) -> None:
            self._accepted(bid, now)

        self.settle()
        del order
        call = Call(port="market", operation="accept", write=True, subject=bid.deployment)
        await self.faults.write(call, effect)

    def _accepted(self, bid: Bid, now: datetime) -> None:
        record = self.deployments.get(bid.deployment)
        if record is None or not record.open_at(now):
            raise RejectedError(f"deployment {bid.deployment} is not open")
        if record.lease is not None:
            if record.lease.provider == bid.provider and record.lease.open_at(now):
                return
            raise RejectedError(f"the order of deployment {bid.deployment} has a lease already")
        if bid.provider not in record.bids or not self.alive[bid.provider].at(now):
            raise RejectedError(f"the bid of {bid.provider} is not open any more")
        self._ports += PORTS_OF_A_LEASE
        record.lease = LeaseRecord(
            provider=bid.provider, price=bid.price_per_hour, since=now, port=self._ports
        )

    async def close(self, deployment_id: str) -> None:
        """Close a deployment; closing a closed or an unknown one does nothing."""

        def effect(now: datetime) -> None:
            self._close(deployment_id, now)

        self.settle()
        call = Call(port="market", operation="close", write=True, subject=deployment_id)
        await self.faults.write(call, effect)

    def _close(self, deployment_id: str, now: datetime) -> None:
        record = self.deployments.get(deployment_id)
        if record is None or record.closed is not None:
            return
        if record.lease is None or record.lease.closed is None:
            self._refund(record, now)
        record.closed = now
        if record.lease is not None and record.lease.closed is None:
            record.lease.closed, record.lease.reason = now, "deployment_closed"

    def _refund(self, record: DeploymentRecord, now: datetime) -> None:
        self.balance_available = MicroUSD(self.balance_available + record.left(now))

    async def deposit(self, deployment_id: str, amount: MicroUSD) -> None:
        """Add to the escrow of an open deployment."""

        def effect(now: datetime) -> None:
            record = self.deployments.get(deployment_id)
            if record is None or not record.open_at(now):
                raise RejectedError(f"deployment {deployment_id} is not open")
            if amount > self.balance_available:
                raise FundsError(f"{amount} micro-dollars are not there to be deposited")
            self.balance_available = MicroUSD(self.balance_available - amount)
            record.deposits.append((now, amount))

        self.settle()
        call = Call(port="market", operation="deposit", write=True, subject=deployment_id)
        await self.faults.write(call, effect)

    async def balance(self) -> Balance:
        """Return what can be deposited, and what is left in open deployments."""

        def answer(moment: datetime) -> Balance:
            held = sum(
                each.left(moment) for each in self.deployments.values() if each.open_at(moment)
            )
            return Balance(available=self.balance_available, escrowed=MicroUSD(held))

        return await self._read("balance", "", answer)

    def endpoints(self) -> Sequence[EndpointFact]:
        """Return nothing: there are no nodes."""
        return ()

    async def providers(self) -> Sequence[ProviderFact]:
        """Return what is listed about the providers."""

        def answer(moment: datetime) -> Sequence[ProviderFact]:
            return [
                each.fact(online=self.alive[each.id].at(moment))
                for each in self.providers_by_id.values()
            ]

        return await self._read("providers", "", answer)

    def start_by_hand(self, order: Order, provider: str) -> DeploymentRecord:
        """Somebody else's doing: a deployment with a lease and a running container, at once."""
        now = self._clock.now()
        if not self._traits.chooses_id:
            self._ids += 1
        record = self._created(order, self.propose_id() or str(self._ids), now)
        self._ports += PORTS_OF_A_LEASE
        record.lease = LeaseRecord(
            provider=provider,
            price=self.providers_by_id[provider].price_per_hour,
            since=now,
            port=self._ports,
            manifest=(now, order),
        )
        return record

    def kill(self, provider: str) -> None:
        """The machine disappears; its leases stay open, and paid."""
        self.alive[provider].set(self._clock.now(), value=False)

    def revive(self, provider: str) -> None:
        self.alive[provider].set(self._clock.now(), value=True)

    def close_lease(self, deployment_id: str, reason: str) -> None:
        """The provider closes its lease; the deployment stays open, with what is left in escrow."""
        now = self._clock.now()
        record = self.deployments[deployment_id]
        if record.lease is not None and record.lease.open_at(now):
            record.lease.closed, record.lease.reason = now, reason

    def reclaim(self, deployment_id: str, deadline: datetime) -> None:
        """The provider announces that it takes the machine back."""
        lease = self.deployments[deployment_id].lease
        if lease is not None:
            lease.reclaim.set(self._clock.now(), deadline)

    def paid(self) -> list[DeploymentRecord]:
        """Return the deployments that are open now: each holds money."""
        self.settle()
        now = self._clock.now()
        return [each for each in self.deployments.values() if each.open_at(now)]
