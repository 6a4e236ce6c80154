"""A tenant of the chain as there were before Garrison: a wallet, an SDL, messages and a manifest."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import aiohttp

from akash_proto import decimals
from akash_proto.rest import parse as parse_message
from akash_proto.schema.akash_base_deposit_v1_pb2 import Deposit, balance
from akash_proto.schema.akash_deployment_v1_pb2 import DeploymentID
from akash_proto.schema.akash_deployment_v1beta4_pb2 import GroupSpec, MsgCreateDeployment
from akash_proto.schema.akash_market_v1_pb2 import BidID
from akash_proto.schema.akash_market_v1beta5_pb2 import MsgCreateLease
from akash_proto.schema.cosmos_base_v1beta1_pb2 import Coin
from devenv.stage import Stage
from garrison.adapters.akash.chain.broadcast import Broadcaster
from garrison.adapters.akash.chain.groups import group_spec
from garrison.adapters.akash.chain.node import Node
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.outbox import Outbox
from garrison.adapters.akash.chain.terms import TermsReader
from garrison.adapters.akash.sdl import Compiled, compile_sdl, parse
from garrison.adapters.akash.tls import client_context
from garrison.adapters.akash.tokens import rights
from garrison.adapters.akash.wallet.jwt import token
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.system import SystemClock
from garrison.ports.market import LeaseTarget
from tests.e2e.moving_in import running
from tests.e2e.scene import Scene
from tests.e2e.waiting import eventually

BIDS = "/akash/market/v1beta5/bids/list"
DEPLOYMENT = "/akash/deployment/v1beta4/deployments/info"
LEASES = "/akash/market/v1beta5/leases/list"
DEPOSIT = "5000000"
"""uact"""
TOKEN_LIFE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the chain has written down of a deployment: its state, its leases', its escrow's."""

    deployment: str
    leases: tuple[str, ...]
    escrow: str


class Tenant:
    """The wallet's owner, at the chain's nodes and at a provider's gateway."""

    def __init__(self, key: str, urls: Sequence[str], context: ssl.SSLContext) -> None:
        self._signer = LocalSigner(PrivateKey.from_hex(key))
        self._clock = SystemClock()
        self._context = context
        nodes = [Node(url=each, screen=NetScreen(), context=context) for each in urls]
        self._nodes = Nodes(nodes=nodes, chain_id=None, clock=self._clock)
        self._outbox = Outbox(
            nodes=self._nodes,
            signer=self._signer,
            terms=TermsReader(nodes=self._nodes, address=self._signer.address),
            carrier=Broadcaster(nodes=self._nodes, signer=self._signer, clock=self._clock),
            clock=self._clock,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._outbox.close()
        await self._nodes.close()

    async def order(self, dseq: str, made: Compiled) -> None:
        """Put a deployment on the chain, as its SDL says."""
        message = MsgCreateDeployment(
            id=DeploymentID(owner=self._signer.address, dseq=int(dseq)),
            groups=[_group(each) for each in made.groups],
            hash=bytes.fromhex(made.version),
            deposit=Deposit(amount=Coin(denom="uact", amount=DEPOSIT), sources=[balance]),
        )
        await self._outbox.send(message, f"order {dseq}")

    async def bids(self, dseq: str) -> list[BidID]:
        """Return the bids on a deployment."""
        filters = {"filters.owner": self._signer.address, "filters.dseq": dseq}
        found = await self._nodes.pages(BIDS, filters, "bids")
        return [parse_message(BidID, each["bid"]["id"]) for each in found]

    async def accept(self, bid: BidID) -> None:
        """Take a bid."""
        await self._outbox.send(MsgCreateLease(bid_id=bid), f"lease {bid.dseq}")

    async def send_manifest(self, bid: BidID, gateway: str, manifest: str) -> int:
        """Hand the manifest to the provider; returns the status of its answer."""
        target = LeaseTarget(
            deployment=str(bid.dseq),
            gseq=bid.gseq,
            oseq=bid.oseq,
            provider=bid.provider,
            host_uri=gateway,
        )
        bearer = await token(
            self._signer,
            rights(target, "send-manifest"),
            now=self._clock.now(),
            lifetime=TOKEN_LIFE,
        )
        async with (
            aiohttp.ClientSession(headers={"authorization": f"Bearer {bearer}"}) as session,
            session.put(
                f"{gateway}/deployment/{bid.dseq}/manifest", data=manifest, ssl=self._context
            ) as answer,
        ):
            return answer.status

    async def entry(self, dseq: str) -> Entry:
        """Return what the chain says about a deployment."""
        owner = self._signer.address
        found = await self._nodes.get(DEPLOYMENT, {"id.owner": owner, "id.dseq": dseq})
        filters = {"filters.owner": owner, "filters.dseq": dseq}
        leases = await self._nodes.pages(LEASES, filters, "leases")
        return Entry(
            deployment=found["deployment"]["state"],
            leases=tuple(each["lease"]["state"] for each in leases),
            escrow=found["escrow_account"]["state"]["state"],
        )


def _group(group: Mapping[str, Any]) -> GroupSpec:
    """A group as the chain takes it: its prices are decimals with 18 places."""
    made = group_spec(group)
    for unit in made.resources:
        unit.price.amount = decimals.to_wire(decimals.exact(unit.price.amount))
    return made


@asynccontextmanager
async def tenant_of(stage: Stage) -> AsyncIterator[Tenant]:
    """Yield the owner of the wallet that the stage's account uses."""
    async with stage.market.admin() as admin:
        urls = [each.url for each in (await admin.chain()).nodes]
    key = await asyncio.to_thread(stage.market.key_file.read_text)
    bundle = await asyncio.to_thread(stage.market.ca_file.read_text)
    tenant = Tenant(key.strip(), urls, client_context(bundle))
    try:
        yield tenant
    finally:
        await tenant.close()


async def start_by_hand(tenant: Tenant, scene: Scene, dseq: str, sdl: str) -> None:
    """Deploy an SDL with the first provider that bids, and wait until its container runs."""
    made = compile_sdl(parse(sdl))
    await tenant.order(dseq, made)
    bid = (await eventually("a bid", lambda: tenant.bids(dseq)))[0]
    await tenant.accept(bid)
    gateways = {each.address: each.host_uri for each in await scene.admin.providers()}
    await eventually(
        "a provider that has seen the lease",
        lambda: tenant.send_manifest(bid, gateways[bid.provider], made.manifest_text),
        lambda status: status == HTTPStatus.OK,
    )
    await running(scene, dseq)
