"""The markets: in memory, the Console API and the chain of a sandbox process."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from akash_sandbox.client import CONSOLE, SandboxAdmin
from akash_sandbox.tls import Authority
from garrison.adapters.akash.chain import broadcast
from garrison.adapters.akash.exchanges import AkashExchanges
from garrison.adapters.memory.clock import ManualClock
from garrison.adapters.memory.gateway import MemoryGateway
from garrison.adapters.memory.kube import MemoryKube
from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.memory.provider import MemoryProvider
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.system import SystemClock
from garrison.api.account import Backend, ChainBackend, ConsoleBackend
from garrison.api.meta import SECRET, Kind, SecretKeyRef
from garrison.api.money import MicroUSD
from garrison.ports.market import Exchange, ProviderGpu
from kube_light.store import Store
from tests.akash_node.gateways import Gateways, gateways_in
from tests.akash_node.ground import Ground, ground_in
from tests.akash_node.opening import exchange_of
from tests.akash_node.parties import bidding
from tests.akash_node.proxy import LossyProxy
from tests.builders import account
from tests.contract.market.stall import (
    BLOCK_SECONDS,
    DOLLAR,
    LostAnswers,
    MemoryStall,
    NodeStall,
    SandboxStall,
    Stall,
)
from tests.sandbox.sandbox_process import SandboxProcess

asyncio.set_event_loop(None)
"""Else the first synchronous test makes a loop, through looptime's plugin, that nobody closes."""

NAMESPACE = "garrison-system"
NODE = "node-1"
PRICES = {"frost": 3334, "prairie": 2834, "dear": 6667}
"""What the providers at a node ask, in uact per block."""
CREDENTIAL = SecretKeyRef(name="credential")
NAMESPACES = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)
AT_SANDBOX = pytest.mark.xdist_group("market-sandbox")
"""Tests that share a process run in one worker: another one would start it again."""
H100 = ProviderGpu(vendor="nvidia", model="h100", memory="80Gi", interface="sxm")
CONFIG = """
workloads: {runtime: synthetic, restart_first_seconds: 0.05, restart_greatest_seconds: 0.2}
settle_seconds: 0.1
balance: 1000
"""


@pytest.fixture(autouse=True)
def frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction is looked for often, because blocks come often."""
    monkeypatch.setattr(broadcast, "LOOK_SECONDS", BLOCK_SECONDS / 5)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox process for all contract tests."""
    process = SandboxProcess(tmp_path_factory.mktemp("contract") / "data", CONFIG)
    process.start()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="session")
def fast_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox process whose chain makes a block every BLOCK_SECONDS."""
    config = f"{CONFIG}block_seconds: {BLOCK_SECONDS}\n"
    process = SandboxProcess(tmp_path_factory.mktemp("contract-chain") / "data", config)
    process.start()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The real node of AKASH_BIN, else the sandbox's chain without providers of its own."""
    with ground_in(tmp_path_factory.mktemp("contract-node")) as found:
        yield found


@pytest.fixture(scope="session")
def gateways(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways | None]:
    """The gateways of the real node's providers, by GATEWAY_BIN; else None."""
    folder = tmp_path_factory.mktemp("contract-gateways")
    with gateways_in(folder, ground, list(PRICES), Authority(folder)) as found:
        yield found


@pytest.fixture(
    params=[
        "memory",
        pytest.param("console", marks=AT_SANDBOX),
        pytest.param("console-unsigned", marks=AT_SANDBOX),
        pytest.param("chain", marks=pytest.mark.xdist_group("market-chain")),
        pytest.param("node", marks=pytest.mark.xdist_group("market-node")),
    ]
)
async def stall(request: pytest.FixtureRequest) -> AsyncIterator[Stall]:
    """One implementation after the other; whatever a test leaves open is closed."""
    match request.param:
        case "memory":
            yield _memory()
        case "console" | "console-unsigned":
            process = request.getfixturevalue("sandbox")
            async with at_console(process) as opened:
                if request.param == "console-unsigned":
                    await opened.refuse_messages()
                yield opened
        case "node":
            ground, gateways = map(request.getfixturevalue, ("ground", "gateways"))
            async with _node(ground, gateways) as stand:
                yield stand
        case _:
            process = request.getfixturevalue("fast_chain")
            key = (process.folder / "account.hex").read_text().strip()
            async with _at(process, _chain(process), key, NODE) as opened:
                yield opened


def _memory() -> MemoryStall:
    clock, lost = ManualClock(), LostAnswers()
    providers = [
        MemoryProvider(
            id=f"akash1{name}",
            host=f"{name}.example",
            price_per_hour=MicroUSD(price),
            gpus=(H100,),
            bid_delay=timedelta(seconds=1),
            start_delay=timedelta(seconds=2),
        )
        for name, price in (("frost", 2 * DOLLAR), ("prairie", 1_700_000), ("dear", 4 * DOLLAR))
    ]
    market = MemoryMarket(clock=clock, providers=providers, hook=lost)
    gateway = MemoryGateway(clock=clock, market=market)
    return MemoryStall(Exchange(market=market, gateway=gateway), market, clock, lost)


def at_console(process: SandboxProcess) -> AbstractAsyncContextManager[SandboxStall]:
    """Trade through the Console API of a sandbox process."""
    return _at(process, _console(process), process.api_key, CONSOLE)


@asynccontextmanager
async def _at(
    process: SandboxProcess, backend: Backend, credential: str, scope: str
) -> AsyncIterator[SandboxStall]:
    exchanges = AkashExchanges(
        kube=await _kube(credential),
        namespace=NAMESPACE,
        screen=NetScreen(),
        clock=SystemClock(),
    )
    base = account(allow_private_addresses=True)
    async with process.admin() as admin:
        await admin.clear_faults()
        exchange = await exchanges.of(replace(base, spec=replace(base.spec, backend=backend)))
        try:
            yield SandboxStall(exchange, admin, scope=scope)
        finally:
            await _restore(admin, exchange)
            await exchanges.close()


@asynccontextmanager
async def _node(ground: Ground, gateways: Gateways | None) -> AsyncIterator[NodeStall]:
    proxy = LossyProxy(ground.url)
    async with (
        proxy.serving(),
        bidding(ground, PRICES, gateways.uris if gateways is not None else None) as bidders,
        exchange_of(proxy.url, "tenant", gateways=gateways) as exchange,
    ):
        if gateways is not None:
            await gateways.serve([each.party for each in bidders])
        try:
            yield NodeStall(exchange, proxy, bidders, gateways, ground.block_seconds)
        finally:
            proxy.armed = False
            await _close_all(exchange)


async def _restore(admin: SandboxAdmin, exchange: Exchange) -> None:
    await admin.clear_faults()
    await _close_all(exchange)


async def _close_all(exchange: Exchange) -> None:
    for each in await exchange.market.open_deployments():
        await exchange.market.close(each.id)


async def _kube(credential: str) -> MemoryKube:
    kube = MemoryKube(Store())
    await kube.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "credential", "namespace": NAMESPACE},
        "data": {"key": base64.b64encode(credential.encode()).decode()},
    }
    await kube.create(SECRET, secret)
    return kube


def _console(process: SandboxProcess) -> Backend:
    settings = ConsoleBackend(
        api_key_secret_ref=CREDENTIAL,
        endpoint=process.console,
        ca_bundle=Path(process.ca_file).read_text(),
    )
    return Backend(console=settings)


def _chain(process: SandboxProcess) -> Backend:
    settings = ChainBackend(
        key_secret_ref=CREDENTIAL,
        endpoints=(process.chain_url,),
        chain_id="local",
        block_time="Nominal",
        ca_bundle=Path(process.ca_file).read_text(),
    )
    return Backend(type="Chain", chain=settings)
