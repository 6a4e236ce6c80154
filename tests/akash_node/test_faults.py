"""A chain on its bad days: nothing is ordered twice, nothing is lost, money comes back to the unit."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml

from akash_sandbox.admin.bodies import NodeChange
from akash_sandbox.client import SandboxAdmin
from garrison.errors import AlreadyExistsError, TransientError, UnknownOutcomeError
from garrison.ports.market import Market
from tests.akash_node.ground import PLENTY, Ground, signer_of
from tests.akash_node.node_process import CHAIN_ID
from tests.akash_node.opening import exchange_of
from tests.akash_node.parties import Party
from tests.sandbox.sandbox_process import SandboxProcess
from tests.unit.adapters.orders import order

NODE = "node-1"
BLOCK_SECONDS = 0.25
ROUNDS = 8
AT_ONCE = 4
CONFIG = {
    "workloads": {"runtime": "synthetic"},
    "block_seconds": BLOCK_SECONDS,
    "providers": [],
    "chain": {
        "id": CHAIN_ID,
        "tls": False,
        "accounts": [{"address": signer_of("tenant").address, "uakt": PLENTY, "uact": PLENTY}],
    },
}

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    folder: Path = tmp_path_factory.mktemp("faults") / "data"
    process = SandboxProcess(folder, yaml.safe_dump(CONFIG))
    process.start()
    yield process
    assert process.stop() == 0


async def spoil(admin: SandboxAdmin, luck: random.Random) -> None:
    """Switch one fault on."""
    match luck.randrange(6):
        case 0:
            await admin.drop_answers(NODE)
        case 1:
            await admin.change_node(NODE, NodeChange(garbled="html", garbled_count=2))
        case 2:
            await admin.change_node(NODE, NodeChange(garbled="truncated", garbled_count=2))
        case 3:
            await admin.errors(NODE, status=503, count=2)
        case 4:
            await admin.change_node(NODE, NodeChange(forgets=2))
        case _:
            await admin.change_node(NODE, NodeChange(mempool_full=True))


async def persist(market: Market, marker: str, number: str) -> None:
    """Order as the engine does: repeat what did not happen, look up what is not known."""
    while True:
        try:
            await market.create(order(marker=marker), number)
        except TransientError:
            await asyncio.sleep(0.2)
            continue
        except (UnknownOutcomeError, AlreadyExistsError):
            pass
        if await look(market, number):
            return


async def look(market: Market, number: str) -> bool:
    """Whether a deployment is there, however often one has to ask."""
    while True:
        try:
            return await market.deployment(number) is not None
        except TransientError:
            await asyncio.sleep(0.2)


async def test_every_order_is_there_once_whatever_fails(sandbox: SandboxProcess) -> None:
    luck = random.Random(7)
    ground = Ground(url=sandbox.chain_url, block_seconds=BLOCK_SECONDS, is_real=False)
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(sandbox.admin())
        tenant = await stack.enter_async_context(Party(ground, "tenant"))
        exchange = await stack.enter_async_context(exchange_of(ground.url, "tenant"))
        market = exchange.market
        before = await tenant.coins("uact")
        wanted: dict[str, str] = {}
        for turn in range(ROUNDS):
            fresh = {
                f"garrison-{turn}-{each}": market.propose_id() or "" for each in range(AT_ONCE)
            }
            wanted |= fresh
            await admin.clear_faults()
            await spoil(admin, luck)
            calls = asyncio.gather(*(persist(market, *each) for each in fresh.items()))
            await asyncio.wait((calls,), timeout=4 * BLOCK_SECONDS)
            await admin.clear_faults()
            await calls
        found = await market.open_deployments()
        assert Counter(each.marker for each in found) == Counter(wanted.keys())
        assert {each.marker: each.id for each in found} == wanted
        await asyncio.gather(*(market.close(each.id) for each in found))
        assert await tenant.coins("uact") == before


async def test_a_halted_chain_decides_nothing(sandbox: SandboxProcess) -> None:
    """What was sent before it halted lands after; until then nobody says that it did not."""
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(sandbox.admin())
        exchange = await stack.enter_async_context(exchange_of(sandbox.chain_url, "tenant"))
        market = exchange.market
        number = market.propose_id()
        assert number is not None
        assert await market.deployment(number) is None
        await admin.halt_chain()
        creating = asyncio.ensure_future(market.create(order(), number))
        await asyncio.sleep(3)
        assert not creating.done()
        await admin.halt_chain(halted=False)
        assert (await creating).id == number
        await market.close(number)
