"""Accounts that act on the chain: the tenant's other half, and providers that bid."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from google.protobuf.message import Message

from akash_proto import decimals
from akash_proto.rest import parse
from akash_proto.schema.akash_base_attributes_v1_pb2 import Attribute
from akash_proto.schema.akash_base_deposit_v1_pb2 import Deposit, balance
from akash_proto.schema.akash_base_resources_v1beta4_pb2 import Resources
from akash_proto.schema.akash_market_v1_pb2 import BidID, LeaseClosedReason
from akash_proto.schema.akash_market_v1beta5_pb2 import MsgCloseBid, MsgCreateBid, ResourceOffer
from akash_proto.schema.akash_provider_v1beta4_pb2 import Info, MsgCreateProvider
from akash_proto.schema.cosmos_base_v1beta1_pb2 import Coin, DecCoin
from garrison.adapters.akash.chain.broadcast import Broadcaster
from garrison.adapters.akash.chain.node import Node
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.outbox import Outbox
from garrison.adapters.akash.chain.purse import Purse
from garrison.adapters.akash.chain.terms import TermsReader
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.system import SystemClock
from garrison.errors import AlreadyExistsError, GarrisonError
from garrison.ports.clock import Clock
from tests.akash_node.ground import Ground, signer_of

ORDERS = "/akash/market/v1beta5/orders/list"
BID_DEPOSIT = 500_000
_GPU = "capabilities/gpu/vendor/nvidia/model/h100"
ATTRIBUTES = (
    ("host", "akash"),
    ("location-region", "us-east"),
    ("region", "us-east"),
    *(
        (f"{_GPU}{rest}", "true")
        for rest in ("", "/ram/80Gi", "/interface/sxm", "/ram/80Gi/interface/sxm")
    ),
)


class Party:
    """One account with a name."""

    def __init__(self, ground: Ground, name: str, clock: Clock | None = None) -> None:
        self.name = name
        self.signer = signer_of(name)
        self.address = self.signer.address
        self._clock = clock or SystemClock()
        node = Node(url=ground.url, screen=NetScreen(), context=ssl.create_default_context())
        self.nodes = Nodes(nodes=[node], chain_id=None, clock=self._clock)
        self._outbox = Outbox(
            nodes=self.nodes,
            signer=self.signer,
            terms=TermsReader(nodes=self.nodes, address=self.address),
            carrier=Broadcaster(nodes=self.nodes, signer=self.signer, clock=self._clock),
            clock=self._clock,
        )

    async def __aenter__(self) -> Party:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._outbox.close()
        await self.nodes.close()

    async def send(self, *messages: Message) -> None:
        """Send messages, and wait until they took effect."""
        what = f"{self.name}'s messages"
        await asyncio.gather(*(self._outbox.send(each, what) for each in messages))

    async def coins(self, denom: str) -> int:
        """Return how many coins the account has."""
        purse = Purse(nodes=self.nodes, clock=self._clock, address=self.address, granter="")
        return int(await purse.coins(self.address, denom))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bidder:
    """A provider that bids on every order it sees, unless that pays less than its price per block."""

    party: Party
    price: int
    host_uri: str

    async def register(self) -> None:
        """Put the provider on the chain."""
        message = MsgCreateProvider(
            owner=self.party.address,
            host_uri=self.host_uri,
            attributes=[Attribute(key=key, value=value) for key, value in ATTRIBUTES],
            info=Info(email="test@example.com"),
        )
        with suppress(AlreadyExistsError):
            await self.party.send(message)

    async def work(self) -> None:
        """Bid until cancelled."""
        seen: set[str] = set()
        while True:
            with suppress(GarrisonError):
                await self._bid(seen)
            await asyncio.sleep(0.1)

    async def close_bid(self, owner: str, dseq: int) -> None:
        """End the lease as a provider does whose machine is unstable."""
        message = MsgCloseBid(
            id=self._id({"owner": owner, "dseq": dseq, "gseq": 1, "oseq": 1}),
            reason=LeaseClosedReason.lease_closed_reason_unstable,
        )
        await self.party.send(message)

    async def _bid(self, seen: set[str]) -> None:
        items = await self.party.nodes.pages(ORDERS, {"filters.state": "open"}, "orders")
        fresh = [each for each in items if str(each["id"]) not in seen]
        seen.update(str(each["id"]) for each in fresh)
        bids = [self._offer(each) for each in fresh if _pays(each) >= self.price]
        await asyncio.gather(*map(self.party.send, bids), return_exceptions=True)

    def _offer(self, order: Any) -> Message:
        units = order["spec"]["resources"]
        return MsgCreateBid(
            id=self._id(order["id"]),
            price=DecCoin(denom="uact", amount=decimals.to_wire(self.price)),
            deposit=Deposit(amount=Coin(denom="uact", amount=str(BID_DEPOSIT)), sources=[balance]),
            resources_offer=[
                ResourceOffer(resources=parse(Resources, each["resource"]), count=each["count"])
                for each in units
            ],
        )

    def _id(self, order: Any) -> BidID:
        return BidID(
            owner=order["owner"],
            dseq=int(order["dseq"]),
            gseq=order["gseq"],
            oseq=order["oseq"],
            provider=self.party.address,
        )


def _pays(order: Any) -> int:
    units = order["spec"]["resources"]
    return int(sum(decimals.exact(each["price"]["amount"]) * each["count"] for each in units))


@asynccontextmanager
async def bidding(
    ground: Ground, prices: Mapping[str, int], uris: Mapping[str, str] | None = None
) -> AsyncIterator[Sequence[Bidder]]:
    """Let providers bid, by name with their prices per block, and with their gateways if they have."""
    hosts = {name: f"https://{name}.example:8443" for name in prices} | dict(uris or {})
    bidders = [
        Bidder(party=Party(ground, name), price=price, host_uri=hosts[name])
        for name, price in prices.items()
    ]
    tasks: list[asyncio.Task[None]] = []
    try:
        await asyncio.gather(*(each.register() for each in bidders))
        tasks = [asyncio.create_task(each.work()) for each in bidders]
        yield bidders
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in bidders:
            await each.party.__aexit__(None, None, None)
