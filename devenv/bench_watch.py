"""What watching a thousand leases on the chain costs: queries per block, and processor time.

The leases are taken with virtual time in a market inside this process. Then the market runs as a process
of its own with blocks of six seconds, and the chain's adapter is asked about every lease as often as the
operator asks. Figures are printed, and gate nothing.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import looptime
import yaml
from rich.console import Console
from rich.table import Table

from akash_sandbox.process import running
from akash_sandbox.settings import load_settings
from devenv.bench_processes import begin
from devenv.checkout import ROOT
from devenv.processes import Process
from garrison.adapters.akash.chain.networks import endpoints_of
from garrison.adapters.akash.chain.node import Answer, Method, Node, Params
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.opening import Opener
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner
from garrison.adapters.memory.clock import LoopClock
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.system import SystemClock
from garrison.api.account import Account, ChainBackend, parse_account
from garrison.api.money import MicroUSD
from garrison.core.lifecycle import Timing
from garrison.ports.market import Bid, Exchange, Market, Order

LEASES, AT_ONCE = 1000, 100
BLOCK_SECONDS = 6.0
BLOCKS = 10
GOAL_QUERIES = 10
SURVEY_SECONDS = 30.0
KEY = "5ec4e7" * 10 + "bead"
"""A throw-away private key in hex."""
EARLIER = timedelta(hours=1)
"""The leases are taken in an hour that has passed: no block may be in the future."""


class CountingNode(Node):
    """A node that counts what it is asked, by path."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.asked: Counter[str] = Counter()

    async def call(
        self,
        method: Method,
        path: str,
        *,
        params: Params | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        self.asked[path] += 1
        return await super().call(method, path, params=params, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingOpener(Opener):
    """Opens accounts on nodes that count."""

    made: list[CountingNode] = field(default_factory=list)

    def _nodes(self, chain: ChainBackend, context: ssl.SSLContext) -> Nodes:
        urls, chain_id = endpoints_of(chain)
        nodes = [CountingNode(url=each, screen=self.screen, context=context) for each in urls]
        self.made.extend(nodes)
        return Nodes(nodes=nodes, chain_id=chain_id, clock=self.clock)


def config() -> dict[str, Any]:
    """Return a market with room for a thousand leases, and a wallet that can pay them."""
    address = LocalSigner(PrivateKey.from_hex(KEY)).address
    providers = [
        {"name": name, "region": "eu-west", "leases": LEASES, "cpu": 10**6}
        for name in ("frost", "harbor", "prairie")
    ]
    account = {"address": address, "uakt": 10**12, "uact": 10**12}
    return {
        "block_seconds": BLOCK_SECONDS,
        "workloads": {"runtime": "synthetic"},
        "chain": {"tls": False, "accounts": [account]},
        "providers": providers,
    }


def account(url: str) -> Account:
    """Return an account at a node."""
    chain = {"keySecretRef": {"name": "wallet"}, "endpoints": [url], "chainId": "local"}
    limits = {"maxPricePerHour": "500", "maxLeases": 500, "maxNewLeasesPer10Minutes": 500}
    spec = {"backend": {"type": "Chain", "chain": chain}, "limits": limits}
    meta = {
        "name": "bench",
        "uid": "bench",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return parse_account({"metadata": meta, "spec": spec})


def order(number: int) -> Order:
    """Return a small order without a GPU."""
    return Order(
        marker=f"garrison-bench-{number}",
        image="registry.example/bench@sha256:" + "0" * 64,
        ports=(8000,),
        cpu_millis=100,
        memory_bytes=128 << 20,
        storage_bytes=128 << 20,
        max_price_per_hour=MicroUSD(200_000),
        deposit=MicroUSD(5_000_000),
    )


async def take_leases(folder: Path, settings: Path) -> list[str]:
    """Take the leases; return the deployments' numbers. To be run in virtual time."""
    clock = LoopClock(datetime.now(UTC) - EARLIER)
    market = running(folder, load_settings(settings), 0, clock=lambda: clock.now().timestamp())
    async with market as sandbox:
        url = sandbox.chain_urls[0].replace("localhost", "127.0.0.1")
        opened = Opener(screen=NetScreen(), clock=clock).open(account(url), KEY)
        try:
            found: list[str] = []
            for first in range(0, LEASES, AT_ONCE):
                asked = (order(number) for number in range(first, first + AT_ONCE))
                taking = (_taken(opened.exchange.market, each) for each in asked)
                found += await asyncio.gather(*taking)
            return found
        finally:
            await opened.close()


async def _taken(market: Market, wanted: Order) -> str:
    created = await market.create(wanted, market.propose_id())
    bid: Bid | None = None
    while bid is None:
        await asyncio.sleep(BLOCK_SECONDS)
        bid = next(iter(await market.bids(created.id)), None)
    await market.accept(bid, wanted)
    return created.id


async def watch(exchange: Exchange, numbers: list[str]) -> None:
    """Look at the leases for some blocks, each as often as a serving one is looked at."""
    loop, market = asyncio.get_running_loop(), exchange.market
    pause = Timing().watch / len(numbers)
    began = loop.time()
    seconds = BLOCKS * BLOCK_SECONDS
    surveys = [loop.create_task(_survey(market, at)) for at in _every(SURVEY_SECONDS, seconds)]
    for turn in range(int(seconds / pause)):
        await asyncio.sleep(max(0.0, began + turn * pause - loop.time()))
        found = await market.deployment(numbers[turn % len(numbers)])
        if found is None or not found.leases:
            raise AssertionError("a lease is not seen")
    await asyncio.gather(*surveys)


def _every(period: float, until: float) -> list[float]:
    return [each * period for each in range(int(until / period))]


async def _survey(market: Market, after: float) -> None:
    """What an account's pass reads."""
    await asyncio.sleep(after)
    await market.open_deployments()
    await market.balance()
    await market.providers()


async def measure(folder: Path, settings: Path, numbers: list[str]) -> Table:
    """Return the figures of the market on disk."""
    argv = [sys.executable, "-m", "akash_sandbox", "serve", "--data-dir", str(folder)]
    process = await Process.start(
        "sandbox",
        [*argv, "--config", str(settings)],
        log=folder.with_suffix(".log"),
        env={"PYTHONPATH": str(ROOT / "operator")},
    )
    try:
        await process.ready(limit_seconds=120)
        (url,) = process_urls(process)
        opener = CountingOpener(screen=NetScreen(), clock=SystemClock())
        opened = opener.open(account(url), KEY)
        try:
            used = time.process_time()
            await watch(opened.exchange, numbers)
            used = time.process_time() - used
        finally:
            await opened.close()
        return table_of(opener.made[0].asked, used)
    finally:
        await process.stop()


def process_urls(process: Process) -> list[str]:
    """Return where the chain's nodes answer, as the market's process says at its start."""
    line = next(each for each in process.output().splitlines() if each.startswith("chain "))
    return [each.replace("localhost", "127.0.0.1") for each in line.split()[2:]]


def table_of(asked: Counter[str], used: float) -> Table:
    """Return the figures, per block."""
    title = f"{LEASES} leases watched for {BLOCKS} blocks of {BLOCK_SECONDS:g} s"
    table = Table("per block", "", "goal", title=title)
    table.add_row("queries", f"{asked.total() / BLOCKS:.1f}", f"{GOAL_QUERIES}")
    for path, count in asked.most_common(5):
        table.add_row(f"  {path}", f"{count / BLOCKS:.1f}", "")
    table.add_row("processor ms", f"{used * 1000 / BLOCKS:.0f}", "")
    table.add_row("of one core", f"{used / (BLOCKS * BLOCK_SECONDS):.1%}", "")
    return table


def main() -> int:
    """Take the leases, watch them, print."""
    begin("devenv.bench_watch", __doc__)
    with tempfile.TemporaryDirectory(prefix="garrison-bench-watch-") as name:
        folder, settings = Path(name) / "market", Path(name) / "market.yaml"
        folder.mkdir()
        settings.write_text(yaml.safe_dump(config()))
        loop = looptime.new_event_loop(noop_cycles=5)
        try:
            numbers = loop.run_until_complete(take_leases(folder, settings))
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()
        Console().print(asyncio.run(measure(folder, settings, numbers)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
