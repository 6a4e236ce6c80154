"""A market to trade at, and the levers that make its bad days happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any, Protocol, TypeVar

import pytest

from akash_sandbox.client import CONSOLE, SandboxAdmin
from garrison.adapters.memory.clock import ManualClock
from garrison.adapters.memory.faults import Call, Fault, Lose, Pass, Stage
from garrison.adapters.memory.market import MemoryMarket
from garrison.api.money import MicroUSD
from garrison.errors import UnknownOutcomeError
from garrison.ports.market import (
    Bid,
    BidState,
    Deployment,
    Exchange,
    GpuAsk,
    LeaseTarget,
    Order,
)
from tests.akash_node.gateways import Gateways
from tests.akash_node.parties import Bidder
from tests.akash_node.proxy import LossyProxy

T = TypeVar("T")

DOLLAR = MicroUSD(1_000_000)
PATIENCE_SECONDS = 20
BLOCK_SECONDS = 0.1
NO_GATEWAYS = "no gateways behind these providers: see GATEWAY_BIN in docs/testing.md"
_serial = count(1)


class Stall(Protocol):
    """One implementation of the ports, with an account that has at least 100 dollars."""

    @property
    def exchange(self) -> Exchange: ...

    @property
    def resolves_lost_answers(self) -> bool:
        """Whether a write whose answer is lost finds out by itself that it took effect."""

    @property
    def knows_who_is_online(self) -> bool:
        """Whether the market tells which providers are alive."""

    @property
    def has_gateways(self) -> bool:
        """Whether the providers run anything."""

    @property
    def checks_tokens(self) -> bool:
        """Whether a provider lets in only who shows a token for it."""

    async def pause(self) -> None:
        """Let a little time pass."""

    async def lose_next_answer(self) -> None:
        """The next write takes effect; its answer is lost."""

    async def kill(self, provider: str) -> None:
        """The provider's machine disappears."""

    async def end_lease(self, deployment: str) -> None:
        """The provider closes its lease."""

    async def reclaim(self, deployment: str) -> None:
        """The provider announces that it takes the machine back."""


class LostAnswers:
    """A hook that loses the answer of the next write, when told to."""

    def __init__(self) -> None:
        self.armed = False

    async def __call__(self, call: Call) -> Fault:
        if self.armed and call.write and call.stage is Stage.AFTER:
            self.armed = False
            return Lose()
        return Pass()


class MemoryStall:
    """The market in memory, with a clock that moves when somebody waits."""

    resolves_lost_answers = False
    knows_who_is_online = True
    has_gateways = True
    checks_tokens = False

    def __init__(
        self, exchange: Exchange, market: MemoryMarket, clock: ManualClock, lost: LostAnswers
    ) -> None:
        self.exchange = exchange
        self._market = market
        self._clock = clock
        self._lost = lost

    async def pause(self) -> None:
        self._clock.advance(timedelta(seconds=1))

    async def lose_next_answer(self) -> None:
        self._lost.armed = True

    async def kill(self, provider: str) -> None:
        self._market.kill(provider)

    async def end_lease(self, deployment: str) -> None:
        self._market.close_lease(deployment, "lease_closed_reason_unstable")

    async def reclaim(self, deployment: str) -> None:
        self._market.reclaim(deployment, self._clock.now() + timedelta(hours=1))


class SandboxStall:
    """A sandbox process with its gateways: through its Console API, or through its chain."""

    def __init__(self, exchange: Exchange, admin: SandboxAdmin, *, scope: str = CONSOLE) -> None:
        self.exchange = exchange
        self.resolves_lost_answers = scope != CONSOLE
        self.knows_who_is_online = scope == CONSOLE
        self.has_gateways = self.checks_tokens = True
        self._admin = admin
        self._scope = scope

    async def pause(self) -> None:
        await asyncio.sleep(0.05)

    async def lose_next_answer(self) -> None:
        await self._admin.drop_answers(self._scope)

    async def refuse_messages(self) -> None:
        """The Console signs nothing that its caller made: deployments are numbered by it."""
        await self._admin.errors(CONSOLE, status=403, path="/v1/tx")

    async def kill(self, provider: str) -> None:
        await self._admin.kill_provider(provider)

    async def end_lease(self, deployment: str) -> None:
        await self._admin.close_lease(deployment, 1, 1, reason="unstable")
        await self._next_block()

    async def reclaim(self, deployment: str) -> None:
        await self._admin.reclaim(deployment, 1, 1, seconds=3600)
        await self._next_block()

    async def _next_block(self) -> None:
        """What others did is seen a block later, where one reads once per block; one may be late."""
        if self.resolves_lost_answers:
            await asyncio.sleep(3 * BLOCK_SECONDS)


class NodeStall:
    """A chain whose providers are accounts of the test's own, with gateways where these are given."""

    resolves_lost_answers = True
    knows_who_is_online = False

    def __init__(
        self,
        exchange: Exchange,
        proxy: LossyProxy,
        bidders: Sequence[Bidder],
        gateways: Gateways | None,
        block: float,
    ) -> None:
        self.exchange = exchange
        self.has_gateways = self.checks_tokens = gateways is not None
        self._gateways = gateways
        self._proxy = proxy
        self._bidders = {each.party.address: each for each in bidders}
        self._block = block

    async def pause(self) -> None:
        await asyncio.sleep(0.1)

    async def lose_next_answer(self) -> None:
        self._proxy.armed = True

    async def kill(self, provider: str) -> None:
        if self._gateways is None:
            pytest.skip(NO_GATEWAYS)
        self._gateways.kill(self._bidders[provider].party.name)

    async def end_lease(self, deployment: str) -> None:
        found = await self.exchange.market.deployment(deployment)
        assert found is not None
        (held,) = found.leases
        owner = (await self.exchange.market.balance()).address
        await self._bidders[held.provider].close_bid(owner, int(deployment))
        await asyncio.sleep(self._block)

    async def reclaim(self, deployment: str) -> None:
        pytest.skip("these orders do not let providers reclaim")


def order(**fields: Any) -> Order:
    """An order that several providers can serve, with a marker of its own."""
    base = Order(
        marker=f"garrison-0123abcd-{next(_serial):032x}-1",
        image="registry.example/acme/model@sha256:" + "a" * 64,
        env=(("MODEL", "acme/small"),),
        ports=(8000,),
        cpu_millis=1000,
        memory_bytes=1 << 30,
        storage_bytes=1 << 30,
        gpu=GpuAsk(vendor="nvidia", model="h100", count=1),
        max_price_per_hour=MicroUSD(5 * DOLLAR),
        deposit=MicroUSD(10 * DOLLAR),
    )
    return replace(base, **fields)


@asynccontextmanager
async def losing_the_answer(stall: Stall) -> AsyncIterator[None]:
    """The write inside takes effect and its answer is lost: its outcome is unknown, or found out."""
    await stall.lose_next_answer()
    try:
        yield
    except UnknownOutcomeError:
        return
    assert stall.resolves_lost_answers


async def eventually(stall: Stall, found: Callable[[], Awaitable[T | None]]) -> T:
    """Return what ``found`` returns once it is not None."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            value = await found()
            if value is not None:
                return value
            await stall.pause()


async def open_bids(stall: Stall, deployment: str, *, at_least: int = 2) -> Sequence[Bid]:
    """Return the open bids, once there are enough."""

    async def enough() -> Sequence[Bid] | None:
        bids = [
            each
            for each in await stall.exchange.market.bids(deployment)
            if each.state is BidState.OPEN
        ]
        return bids if len(bids) >= at_least else None

    return await eventually(stall, enough)


async def found(stall: Stall, deployment: str) -> Deployment:
    """Return a deployment that must be there."""
    result = await stall.exchange.market.deployment(deployment)
    assert result is not None
    return result


async def leased(stall: Stall, wanted: Order) -> tuple[Deployment, Bid]:
    """Order, take the cheapest bid; return the deployment with its lease, and the bid."""
    market = stall.exchange.market
    created = await market.create(wanted, market.propose_id())
    bids = await open_bids(stall, created.id)
    cheapest = min(bids, key=lambda each: each.price_per_hour)
    await market.accept(cheapest, wanted)
    return await found(stall, created.id), cheapest


async def target(stall: Stall, bid: Bid) -> LeaseTarget:
    """Return where the lease made from a bid is managed."""
    if not stall.has_gateways:
        pytest.skip(NO_GATEWAYS)
    facts = {each.id: each for each in await stall.exchange.market.providers()}
    return LeaseTarget(
        deployment=bid.deployment,
        gseq=bid.gseq,
        oseq=bid.oseq,
        provider=bid.provider,
        host_uri=facts[bid.provider].host_uri,
    )
