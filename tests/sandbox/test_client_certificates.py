"""Client certificates in place of tokens: what a gateway takes, and what the adapter makes of it."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import aiohttp
import pytest
from cryptography import x509
from yarl import URL

from garrison.adapters.akash.gateway import ProviderGateway
from garrison.adapters.akash.opening import Opened, Opener
from garrison.adapters.akash.wallet.client_key import ClientKey
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner
from garrison.adapters.handshake import load_identity
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.system import SystemClock
from garrison.api.account import Backend, ChainBackend
from garrison.api.meta import SecretKeyRef
from garrison.errors import NotFoundError, UnavailableError
from garrison.ports.market import Bid, LeaseGateway, LeaseTarget, Market, Order
from tests.akash_node.ground import secret_of, signer_of
from tests.builders import account
from tests.contract.market.stall import order
from tests.sandbox.sandbox_process import SandboxProcess

T = TypeVar("T")

STRANGER = "stranger"
CONFIG = {
    "workloads": {"runtime": "synthetic"},
    "settle_seconds": 0.1,
    "block_seconds": 0.1,
    "balance": 1000,
    "chain": {"accounts": [{"address": signer_of(STRANGER).address, "uakt": 10**12}]},
}
PATIENCE_SECONDS = 60
CERTIFICATES = "/akash/cert/v1/certificates/list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A local market, and a lease that its tenant made with a certificate."""

    process: SandboxProcess
    authorities: str
    tenant: str
    target: LeaseTarget


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    process = SandboxProcess(tmp_path_factory.mktemp("mtls") / "data", json.dumps(CONFIG))
    process.start()
    authorities = Path(process.ca_file).read_text()
    tenant = (process.folder / "account.hex").read_text().strip()
    target = asyncio.run(_rented(process, authorities, tenant))
    yield Venue(process=process, authorities=authorities, tenant=tenant, target=target)
    assert process.stop() == 0


@asynccontextmanager
async def opened(
    process: SandboxProcess, authorities: str, key: str, proof: str = "Certificate"
) -> AsyncIterator[Opened]:
    chain = ChainBackend(
        key_secret_ref=SecretKeyRef(name="credential"),
        endpoints=(process.chain_url,),
        ca_bundle=authorities,
        gateway_auth="Certificate" if proof == "Certificate" else "Token",
    )
    made = account(backend=Backend(type="Chain", chain=chain), allow_private_addresses=True)
    found = Opener(screen=NetScreen(), clock=SystemClock()).open(made, key)
    try:
        yield found
    finally:
        await found.close()


async def _rented(process: SandboxProcess, authorities: str, key: str) -> LeaseTarget:
    """Order, lease, hand the manifest over and wait for the container: no token is signed."""
    async with opened(process, authorities, key) as found, asyncio.timeout(PATIENCE_SECONDS):
        market, gateway, wanted = found.exchange.market, found.exchange.gateway, order()
        made = await market.create(wanted, market.propose_id())
        bid = await _until(lambda: _first_bid(market, made.id))
        await market.accept(bid, wanted)
        hosts = {each.id: each.host_uri for each in await market.providers()}
        target = LeaseTarget(
            deployment=made.id,
            gseq=bid.gseq,
            oseq=bid.oseq,
            provider=bid.provider,
            host_uri=hosts[bid.provider],
        )
        await _until(lambda: _sent(gateway, target, wanted))
        await _until(lambda: _available(gateway, target))
    return target


async def _until(look: Callable[[], Awaitable[T | None]]) -> T:
    while True:
        if (found := await look()) is not None:
            return found
        await asyncio.sleep(0.1)


async def _first_bid(market: Market, deployment: str) -> Bid | None:
    return next(iter(await market.bids(deployment)), None)


async def _sent(gateway: LeaseGateway, target: LeaseTarget, wanted: Order) -> bool | None:
    try:
        await gateway.send_manifest(target, wanted)
    except NotFoundError:
        return None
    return True


async def _available(gateway: LeaseGateway, target: LeaseTarget) -> bool | None:
    status = await gateway.status(target)
    return True if status is not None and status.available else None


@pytest.mark.parametrize("proof", ["Certificate", "Token"])
async def test_a_lease_is_looked_into_either_way(venue: Venue, proof: str) -> None:
    async with opened(venue.process, venue.authorities, venue.tenant, proof) as found:
        status = await found.exchange.gateway.status(venue.target)
        assert status is not None
        assert status.available == 1
        console = found.console(venue.target)
        lines = [each async for each in console.lines(follow=False, tail=5)]
        await console.close()
    assert lines


async def test_one_certificate_is_published_once(venue: Venue) -> None:
    for _ in range(2):
        async with opened(venue.process, venue.authorities, venue.tenant) as found:
            await found.exchange.gateway.status(venue.target)
            address = (await found.exchange.market.balance()).address
    context = ssl.create_default_context(cadata=venue.authorities)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.get(f"{venue.process.chain_url}{CERTIFICATES}?filter.owner={address}") as answer,
    ):
        listed = (await answer.json())["certificates"]
    await asyncio.sleep(0.1)
    assert len(listed) == 1


async def test_a_certificate_opens_only_its_owner_s_leases(venue: Venue) -> None:
    async with opened(venue.process, venue.authorities, secret_of(STRANGER)) as found:
        gateway = found.exchange.gateway
        assert await gateway.status(venue.target) is None
        with pytest.raises(UnavailableError, match="Deployment not found"):
            await gateway.send_manifest(venue.target, order())
        console = found.console(venue.target)
        with pytest.raises(NotFoundError):
            async for _ in console.lines(follow=False, tail=1):
                pass
        await console.close()


async def test_a_server_that_the_provider_did_not_publish_is_not_talked_to(venue: Venue) -> None:
    class Nothing:
        async def of(self, provider: str) -> Sequence[bytes]:
            del provider
            return (bytes(32),)

    async with opened(venue.process, venue.authorities, venue.tenant) as found:
        gateway = found.exchange.gateway
        assert isinstance(gateway, ProviderGateway)
        gateway._connections._certificates = Nothing()
        with pytest.raises(UnavailableError, match="none that the provider has on the chain"):
            await gateway.status(venue.target)


async def test_certificate_and_token_together_are_ambiguous(venue: Venue) -> None:
    status, text = await _asked(venue, venue.tenant, {"Authorization": "Bearer x"})
    assert status == 400
    assert "may not use mTLS and JWT at the same time" in text


async def test_a_certificate_that_is_not_published_is_refused_in_the_handshake(
    venue: Venue,
) -> None:
    with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
        await _asked(venue, f"{7:064x}", {})


async def test_without_either_nobody_is_let_in(venue: Venue) -> None:
    assert (await _asked(venue, None, {}))[0] == 401


async def _asked(venue: Venue, key: str | None, headers: dict[str, str]) -> tuple[int, str]:
    """Ask for the lease's status with a fresh or the published certificate of a key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if key is not None:
        load_identity(context, await _identity(venue, key))
    target = venue.target
    url = URL(target.host_uri) / f"lease/{target.deployment}/{target.gseq}/{target.oseq}/status"
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    try:
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(url, headers=headers, server_hostname=f"mtls.{url.host}") as answer,
        ):
            return answer.status, await answer.text()
    finally:
        await asyncio.sleep(0.1)


async def _identity(venue: Venue, key: str) -> bytes:
    """Return key and certificate as the chain has it, else one that it does not have."""
    signer = LocalSigner(PrivateKey.from_hex(key))
    mine = await ClientKey.of(signer)
    asked = f"{venue.process.chain_url}{CERTIFICATES}?filter.owner={signer.address}"
    context = ssl.create_default_context(cadata=venue.authorities)
    connector = aiohttp.TCPConnector(ssl=context)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(asked) as answer,
    ):
        listed = (await answer.json())["certificates"]
    if not listed:
        return mine.identity(mine.certificate(datetime.now(UTC)))
    return mine.identity(
        x509.load_pem_x509_certificate(base64.b64decode(listed[0]["certificate"]["cert"]))
    )
