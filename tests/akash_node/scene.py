"""A lease at a provider with a real gateway, and what its tenant does there."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

import aiohttp

from garrison.adapters.akash.opening import Opened
from garrison.adapters.akash.streams import GatewayConsole
from garrison.api.money import MicroUSD
from garrison.ports.console import Size, Stream
from garrison.ports.market import Bid, BidState, LeaseTarget, Market, Order, ServiceStatus
from tests.akash_node.gateways import Gateways
from tests.akash_node.ground import Ground
from tests.akash_node.opening import opened
from tests.akash_node.parties import bidding
from tests.unit.adapters.orders import H100, order

T = TypeVar("T")

Proof = Literal["Token", "Certificate"]
PROVIDER = "frost"
PRICE = 1001
"""What the provider asks per block."""
DEPOSIT = MicroUSD(5_000_000)
WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A provider that bids when it is told to, and its gateway."""

    ground: Ground
    gateways: Gateways

    @asynccontextmanager
    async def account(self, proof: Proof = "Token") -> AsyncIterator[Opened]:
        """Open the tenant's account, which proves itself to gateways in one of the two ways."""
        found = opened(self.ground.url, "tenant", self.gateways, proof)
        async with found as account:
            yield account

    @asynccontextmanager
    async def bidder(self) -> AsyncIterator[None]:
        """Have the provider bid, with its gateway up."""
        async with bidding(self.ground, {PROVIDER: PRICE}, self.gateways.uris) as (found,):
            await self.gateways.serve([found.party])
            yield

    def target(self, bid: Bid) -> LeaseTarget:
        return LeaseTarget(
            deployment=bid.deployment,
            gseq=bid.gseq,
            oseq=bid.oseq,
            provider=bid.provider,
            host_uri=self.gateways.uris[PROVIDER],
        )

    async def lease(self) -> Lease:
        """Rent, send the manifest, and wait until the container runs."""
        async with self.bidder(), self.account() as account:
            wanted, bid = await ordered(account.exchange.market)
            await account.exchange.market.accept(bid, wanted)
            target = self.target(bid)
            await account.exchange.gateway.send_manifest(target, wanted)
            await running(account, target)
        return Lease(wanted=wanted, target=target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease whose container runs."""

    wanted: Order
    target: LeaseTarget


async def ordered(market: Market) -> tuple[Order, Bid]:
    """Order, and return the provider's bid."""
    wanted = order(gpu=H100, deposit=DEPOSIT)
    created = await market.create(wanted, market.propose_id())

    async def bid() -> Bid | None:
        bids = await market.bids(created.id)
        return next((each for each in bids if each.state is BidState.OPEN), None)

    return wanted, await eventually(bid)


async def running(account: Opened, target: LeaseTarget) -> ServiceStatus:
    """Return the status once the container runs."""

    async def available() -> ServiceStatus | None:
        status = await account.exchange.gateway.status(target)
        return status if status is not None and status.available else None

    return await eventually(available)


async def eventually(found: Callable[[], Awaitable[T | None]]) -> T:
    """Return what ``found`` returns once it is not None."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            value = await found()
            if value is not None:
                return value
            await asyncio.sleep(0.1)


@asynccontextmanager
async def looking(account: Opened, target: LeaseTarget) -> AsyncIterator[GatewayConsole]:
    """Look into a lease."""
    console = account.console(target)
    try:
        yield console
    finally:
        await console.close()


async def first(many: AsyncIterator[T], count: int) -> list[T]:
    """Return the first of what comes, and end it; fewer where it ends by itself."""
    found: list[T] = []
    async with asyncio.timeout(WAIT_SECONDS):
        async for each in many:
            found.append(each)
            if len(found) == count:
                break
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of a command."""

    out: str
    err: str
    exit_code: int


async def run(
    console: GatewayConsole, argv: Sequence[str], *, typed: bytes = b"", size: Size | None = None
) -> Ran:
    """Run a command to its end, with what is typed as its input."""
    session = await console.shell(argv, size, reads=bool(typed))
    said = {Stream.OUT: b"", Stream.ERR: b""}
    try:
        if typed:
            await session.send(typed)
        async with asyncio.timeout(WAIT_SECONDS):
            async for stream, data in session.output():
                said[stream] += data
    finally:
        await session.close()
    return Ran(
        out=said[Stream.OUT].decode(),
        err=said[Stream.ERR].decode(),
        exit_code=session.exit_code,
    )


async def answered(target: LeaseTarget, token: str | None) -> int:
    """Return how a gateway on loopback answers a question about a lease, asked with this token."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = target.host_uri.rpartition(":")[2]
    path = f"/lease/{target.deployment}/{target.gseq}/{target.oseq}/status"
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://127.0.0.1:{port}{path}", headers=headers, ssl=context) as answer,
    ):
        return answer.status
