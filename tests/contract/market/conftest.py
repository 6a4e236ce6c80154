"""The two markets: in memory, and the Console API of a sandbox process."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from akash_sandbox.client import SandboxAdmin
from garrison.adapters.akash.exchanges import AkashExchanges
from garrison.adapters.memory.clock import ManualClock
from garrison.adapters.memory.gateway import MemoryGateway
from garrison.adapters.memory.kube import MemoryKube
from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.memory.provider import MemoryProvider
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.system import SystemClock
from garrison.api.account import Account, Backend
from garrison.api.meta import SECRET, Kind
from garrison.api.money import MicroUSD
from garrison.ports.market import Exchange, ProviderGpu
from kube_light.store import Store
from tests.builders import account
from tests.contract.market.stall import DOLLAR, LostAnswers, MemoryStall, SandboxStall, Stall
from tests.sandbox.sandbox_process import SandboxProcess

asyncio.set_event_loop(None)
"""Else the first synchronous test makes a loop, through looptime's plugin, that nobody closes."""

NAMESPACE = "garrison-system"
NAMESPACES = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)
H100 = ProviderGpu(vendor="nvidia", model="h100", memory="80Gi", interface="sxm")
CONFIG = """
workloads: {runtime: synthetic, restart_first_seconds: 0.05, restart_greatest_seconds: 0.2}
settle_seconds: 0.1
balance: 1000
"""


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox process for all contract tests."""
    process = SandboxProcess(tmp_path_factory.mktemp("contract") / "data", CONFIG)
    process.start()
    yield process
    assert process.stop() == 0


@pytest.fixture(params=["memory", "console"])
async def stall(request: pytest.FixtureRequest) -> AsyncIterator[Stall]:
    """One implementation after the other; whatever a test leaves open is closed."""
    if request.param == "memory":
        yield _memory()
        return
    async with _console(request.getfixturevalue("sandbox")) as opened:
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


@asynccontextmanager
async def _console(process: SandboxProcess) -> AsyncIterator[SandboxStall]:
    exchanges = AkashExchanges(
        kube=await _kube(process.api_key),
        namespace=NAMESPACE,
        screen=NetScreen(),
        clock=SystemClock(),
    )
    async with process.admin() as admin:
        await admin.clear_faults()
        exchange = await exchanges.of(await asyncio.to_thread(_account, process))
        try:
            yield SandboxStall(exchange, admin)
        finally:
            await _restore(admin, exchange)
            await exchanges.close()


async def _restore(admin: SandboxAdmin, exchange: Exchange) -> None:
    await admin.clear_faults()
    for each in await exchange.market.open_deployments():
        await exchange.market.close(each.id)


async def _kube(api_key: str) -> MemoryKube:
    kube = MemoryKube(Store())
    await kube.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "console", "namespace": NAMESPACE},
        "data": {"key": base64.b64encode(api_key.encode()).decode()},
    }
    await kube.create(SECRET, secret)
    return kube


def _account(process: SandboxProcess) -> Account:
    base = account(allow_private_addresses=True)
    assert base.spec.backend.console is not None
    console = replace(
        base.spec.backend.console,
        endpoint=process.console,
        ca_bundle=Path(process.ca_file).read_text(),
    )
    return replace(base, spec=replace(base.spec, backend=Backend(console=console)))
