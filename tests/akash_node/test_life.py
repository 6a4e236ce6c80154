"""A lease's whole life, from the tenant's and the provider's side, to the last unit of money."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from akash_proto import decimals
from akash_proto.schema.akash_deployment_v1_pb2 import DeploymentID
from akash_proto.schema.akash_deployment_v1beta4_pb2 import MsgUpdateDeployment
from akash_proto.schema.akash_escrow_v1_pb2 import DepositAuthorization
from akash_proto.schema.akash_oracle_v2_pb2 import DataID, MsgAddPriceEntry
from akash_proto.schema.cosmos_authz_v1beta1_pb2 import Grant, MsgGrant
from akash_proto.schema.cosmos_base_v1beta1_pb2 import Coin
from akash_proto.schema.cosmos_feegrant_v1beta1_pb2 import BasicAllowance, MsgGrantAllowance
from akash_proto.wire import pack
from garrison.api.money import MicroUSD
from garrison.errors import AlreadyExistsError, FundsError, RejectedError, UnavailableError
from garrison.ports.market import (
    Bid,
    BidState,
    Deployment,
    DeploymentState,
    LeaseState,
    Market,
    Mintage,
    Minter,
)
from tests.akash_node.ground import ORACLE, Ground, ground_in, signer_of
from tests.akash_node.opening import exchange_of
from tests.akash_node.parties import Party, bidding
from tests.unit.adapters.orders import H100, order

T = TypeVar("T")
DOLLAR = 1_000_000
PRICE = 1001
"""What the provider asks per block."""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground_in(tmp_path_factory.mktemp("node")) as found:
        yield found


@asynccontextmanager
async def market_of(ground: Ground, name: str, granter: str | None = None) -> AsyncIterator[Market]:
    """The market as an AkashAccount with this name's key sees it."""
    async with exchange_of(ground.url, name, granter) as exchange:
        yield exchange.market


async def eventually(found: Callable[[], Awaitable[T | None]]) -> T:
    async with asyncio.timeout(60):
        while True:
            value = await found()
            if value is not None:
                return value
            await asyncio.sleep(0.1)


async def existing(market: Market, number: str) -> Deployment:
    """The deployment, which must be there."""
    found = await market.deployment(number)
    assert found is not None
    return found


async def open_bid(market: Market, number: str) -> Bid:
    """The first open bid."""

    async def look() -> Bid | None:
        bids = await market.bids(number)
        return next((each for each in bids if each.state is BidState.OPEN), None)

    return await eventually(look)


async def test_a_lease_from_order_to_refund(ground: Ground) -> None:
    wanted = order(gpu=H100, deposit=MicroUSD(5 * DOLLAR))
    async with AsyncExitStack() as stack:
        market = await stack.enter_async_context(market_of(ground, "tenant"))
        tenant = await stack.enter_async_context(Party(ground, "tenant"))
        (bidder,) = await stack.enter_async_context(bidding(ground, {"frost": PRICE}))
        provider = bidder.party
        assert provider.address in {each.id for each in await market.providers()}
        before = {each.name: await each.coins("uact") for each in (tenant, provider)}

        created = await market.create(wanted, market.propose_id())
        with pytest.raises(AlreadyExistsError):
            await market.create(wanted, created.id)
        bid = await open_bid(market, created.id)
        offered = (bid.provider, bid.price_per_hour, bid.gpu_model)
        assert offered == (provider.address, PRICE * 600, "h100")
        await market.accept(bid, wanted)
        leased = await existing(market, created.id)
        assert [each.state for each in leased.leases] == [LeaseState.ACTIVE]
        assert leased.marker == wanted.marker

        await market.deposit(created.id, MicroUSD(DOLLAR))
        topped = await existing(market, created.id)
        assert topped.escrow is not None
        assert 5 * DOLLAR < topped.escrow <= 6 * DOLLAR
        await _update_twice(tenant, created.id)

        await market.close(created.id)
        await market.close(created.id)
        closed = await existing(market, created.id)
        assert closed.state is DeploymentState.CLOSED
        assert [each.state for each in closed.leases] == [LeaseState.CLOSED]
        with pytest.raises(RejectedError):
            await market.deposit(created.id, MicroUSD(DOLLAR))
        with pytest.raises(AlreadyExistsError):
            await market.create(wanted, created.id)

        rent = await _rent(tenant, created.id)
        assert before["tenant"] - await tenant.coins("uact") == rent > 0
        assert await provider.coins("uact") - before["frost"] == rent


async def _update_twice(tenant: Party, number: str) -> None:
    """Another manifest's hash is taken once; the same one again changes nothing, and is refused."""
    update = MsgUpdateDeployment(
        id=DeploymentID(owner=tenant.address, dseq=int(number)), hash=b"\x07" * 32
    )
    await tenant.send(update)
    with pytest.raises(RejectedError):
        await tenant.send(update)


async def _rent(tenant: Party, number: str) -> int:
    """What the lease cost: its price for every block from its first to its last."""
    params = {"filters.owner": tenant.address, "filters.dseq": number}
    (item,) = await tenant.nodes.pages("/akash/market/v1beta5/leases/list", params, "leases")
    lease = item["lease"]
    return PRICE * (int(lease["closed_on"]) - int(lease["created_at"]))


async def test_many_orders_take_few_blocks(ground: Ground) -> None:
    async with market_of(ground, "tenant") as market, Party(ground, "tenant") as tenant:
        orders = [order(marker=f"garrison-batch-{each}") for each in range(20)]
        created = await asyncio.gather(
            *(market.create(each, market.propose_id()) for each in orders)
        )
        found = await tenant.nodes.pages(
            "/akash/deployment/v1beta4/deployments/list",
            {"filters.owner": tenant.address, "filters.state": "active"},
            "deployments",
        )
        heights = {each["deployment"]["created_at"] for each in found}
        await asyncio.gather(*(market.close(each.id) for each in created))
        assert len(found) == len(orders)
        assert len(heights) <= 2
        assert list(await market.open_deployments()) == []


async def test_an_order_that_cannot_be_paid_sinks_no_other(ground: Ground) -> None:
    async with market_of(ground, "tenant") as market:
        poor = order(deposit=MicroUSD(10**15))
        calls = (market.create(each, market.propose_id()) for each in (order(), poor, order()))
        first, second, third = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(second, FundsError)
        for each in (first, third):
            assert not isinstance(each, BaseException)
            await market.close(each.id)


async def test_a_poor_wallet_trades_on_grants(ground: Ground) -> None:
    granter = signer_of("treasury").address
    async with AsyncExitStack() as stack:
        treasury = await stack.enter_async_context(Party(ground, "treasury"))
        hot = await stack.enter_async_context(Party(ground, "hot"))
        market = await stack.enter_async_context(market_of(ground, "hot", granter))
        await treasury.send(*_grants(granter, hot.address, 8 * DOLLAR))
        before = await treasury.coins("uact")
        balance = await market.balance()
        assert (balance.available, balance.fees) == (8 * DOLLAR, 5_000_000)
        assert balance.until is not None

        wanted = order(deposit=MicroUSD(5 * DOLLAR))
        created = await market.create(wanted, market.propose_id())
        assert await treasury.coins("uact") == before - 5 * DOLLAR
        assert (await market.balance()).available == 3 * DOLLAR
        with pytest.raises(FundsError):
            await market.create(replace(wanted, marker="garrison-second"), market.propose_id())
        await market.close(created.id)
        assert await treasury.coins("uact") == before
        assert (await market.balance()).available == 8 * DOLLAR


def _grants(granter: str, grantee: str, limit: int) -> list[MsgGrant | MsgGrantAllowance]:
    """Leave to deposit so much, and to pay fees. The old limit must be a zero coin."""
    deposits = DepositAuthorization(
        spend_limit=Coin(denom="uact", amount="0"),
        scopes=[DepositAuthorization.deployment],
        spend_limits=[Coin(denom="uact", amount=str(limit))],
    )
    until = Timestamp()
    until.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    fees = BasicAllowance(spend_limit=[Coin(denom="uakt", amount="5000000")])
    return [
        MsgGrant(
            granter=granter,
            grantee=grantee,
            grant=Grant(authorization=pack(deposits), expiration=until),
        ),
        MsgGrantAllowance(granter=granter, grantee=grantee, allowance=pack(fees)),
    ]


async def test_credit_is_minted_from_coins_and_comes_once(ground: Ground) -> None:
    """At a real node the oracle says nothing until somebody tells it a price."""
    async with exchange_of(ground.url, "treasury") as exchange:
        minter = exchange.minter
        assert minter is not None
        if ground.is_real:
            assert "oracle" in (await minter.mintage()).problem
            await _tell_price(ground, "1.25")
        offer = await eventually(lambda: _possible(minter))
        assert (offer.least, offer.problem, offer.is_pending) == (10 * DOLLAR, "", False)
        before = (await exchange.market.balance()).available
        await minter.mint(MicroUSD(20 * DOLLAR))
        with pytest.raises(UnavailableError):
            await minter.mint(MicroUSD(20 * DOLLAR))

        async def decided() -> bool | None:
            return None if (await minter.mintage()).is_pending else True

        await eventually(decided)
        gained = (await exchange.market.balance()).available - before
        assert 20 * DOLLAR <= gained <= 21 * DOLLAR


async def _tell_price(ground: Ground, dollars: str) -> None:
    now = Timestamp()
    now.FromDatetime(datetime.now(UTC) - timedelta(seconds=5))
    price = MsgAddPriceEntry(
        signer=signer_of(ORACLE).address,
        id=DataID(denom="akt", base_denom="usd"),
        price=decimals.to_wire(decimals.exact(dollars)),
        timestamp=now,
    )
    async with Party(ground, ORACLE) as source:
        await source.send(price)


async def _possible(minter: Minter) -> Mintage | None:
    offer = await minter.mintage()
    return None if offer.problem else offer
