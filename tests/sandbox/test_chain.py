"""The chain's bad days on request, and one account at two doors: the Console and the chain."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from akash_proto.schema.akash_deployment_v1beta4_pb2 import MsgCloseDeployment, MsgCreateDeployment
from akash_proto.schema.cosmos_bank_v1beta1_pb2 import MsgSend
from akash_proto.tx import tx_hash
from akash_proto.wire import decode, encode
from akash_sandbox.client import NodeChange, SandboxAdmin
from garrison.adapters.akash.wallet.key import PrivateKey
from tests.conformance.akash.chain_client import Key, Node, Wish, named
from tests.sandbox.sandbox_process import Reply, SandboxProcess, sdl
from tests.sandbox.test_commands import said

CREATE = (
    Path(__file__).parents[1]
    / "conformance/akash/vectors/v20-gpu-model-ram-interface/msg_create_deployment.hex"
)
RICH = 10**10
TENANT = named("tenant")
CONFIG = f"""
block_seconds: 0.1
chain:
  tls: false
  nodes: 2
  accounts: [{{address: {TENANT.address}, uakt: {RICH}, uact: {RICH}}}]
"""
UNKNOWN_BLOCKS = 1


@dataclass(frozen=True, slots=True)
class Chain:
    process: SandboxProcess

    def node(self, number: int = 1) -> Node:
        ports = json.loads((self.process.folder / "server-ports.json").read_text())
        return Node(f"http://localhost:{ports[f'chain/node-{number}']}")

    def balance(self, denom: str, address: str = TENANT.address) -> int:
        path = f"/cosmos/bank/v1beta1/balances/{address}/by_denom?denom={denom}"
        return int(self.node().get(path)[1]["balance"]["amount"])

    def transfer(self, amount: int = 1) -> bytes:
        """Return a signed transaction that sends coins to an address of nobody's."""
        message = MsgSend(from_address=TENANT.address, to_address=named("nobody").address)
        message.amount.add(denom="uakt", amount=str(amount))
        return self.node().build(TENANT, [message], Wish(ttl=60), 200_000, 5_000)


def create(dseq: int) -> MsgCreateDeployment:
    """Return the vector's deployment as one of the tenant's."""
    message = decode(MsgCreateDeployment, bytes.fromhex(CREATE.read_text().strip()))
    message.id.owner, message.id.dseq = TENANT.address, dseq
    message.deposit.amount.denom, message.deposit.amount.amount = "uact", "5000000"
    for group in message.groups:
        for unit in group.resources:
            unit.price.denom = "uact"
    return message


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    config = "workloads: {runtime: synthetic}\nsettle_seconds: 0.2\nbalance: 1000\n" + CONFIG
    process = SandboxProcess(tmp_path_factory.mktemp("chain") / "data", config)
    process.start()
    yield Chain(process)
    assert process.stop() == 0


@pytest.fixture
def chain(serving: Chain) -> Iterator[Chain]:
    """The shared chain; its faults are off again afterwards."""
    yield serving
    asyncio.run(_clear(serving))


async def _clear(chain: Chain) -> None:
    async with chain.process.admin() as admin:
        await admin.clear_faults()


def changed(chain: Chain, work: Callable[[SandboxAdmin], Any]) -> None:
    """Switch a fault on."""

    async def done() -> None:
        async with chain.process.admin() as admin:
            await work(admin)

    asyncio.run(done())


def until(ready: Callable[[], bool]) -> None:
    for _ in range(500):
        if ready():
            return
        time.sleep(0.02)
    raise AssertionError("what was waited for did not happen")


def test_a_full_mempool_refuses_at_one_node_only(chain: Chain) -> None:
    changed(chain, lambda a: a.change_node("node-1", NodeChange(mempool_full=True)))
    raw = chain.transfer()
    refused = chain.node(1).broadcast(raw)[1]["tx_response"]
    assert (refused["codespace"], refused["code"], refused["raw_log"]) == ("sdk", 20, "")
    assert chain.node(2).broadcast(raw)[1]["tx_response"]["code"] == 0
    assert chain.node(2).wait(tx_hash(raw))[1]["tx_response"]["code"] == 0


def test_a_lagging_node_shows_the_past(chain: Chain) -> None:
    before = chain.balance("uakt", named("nobody").address)
    changed(chain, lambda a: a.change_node("node-2", NodeChange(lag_blocks=1000)))
    raw = chain.transfer(7)
    chain.node().broadcast(raw)
    assert chain.node().wait(tx_hash(raw))[1]["tx_response"]["code"] == 0
    path = f"/cosmos/bank/v1beta1/balances/{named('nobody').address}/by_denom?denom=uakt"
    assert chain.balance("uakt", named("nobody").address) == before + 7
    assert int(chain.node(2).get(path)[1]["balance"]["amount"]) == before
    assert chain.node(2).get(f"/cosmos/tx/v1beta1/txs/{tx_hash(raw)}")[0] == 404
    until(lambda: chain.node(1).height() > chain.node(2).height() + UNKNOWN_BLOCKS)


def test_a_halted_chain_keeps_what_waits(chain: Chain) -> None:
    changed(chain, lambda a: a.halt_chain())
    height = chain.node().height()
    raw = chain.transfer()
    assert chain.node().broadcast(raw)[1]["tx_response"]["code"] == 0
    time.sleep(0.4)
    assert chain.node().height() == height
    assert chain.node().get(f"/cosmos/tx/v1beta1/txs/{tx_hash(raw)}")[0] == 404
    changed(chain, lambda a: a.halt_chain(halted=False))
    assert chain.node().wait(tx_hash(raw))[1]["tx_response"]["height"] == str(height + 1)


def test_an_answer_is_lost_but_the_transaction_lands(chain: Chain) -> None:
    changed(chain, lambda a: a.drop_answers("node-1"))
    raw = chain.transfer()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        chain.node().broadcast(raw)
    assert chain.node().wait(tx_hash(raw))[1]["tx_response"]["code"] == 0
    again = chain.node().broadcast(raw)[1]["tx_response"]
    assert (again["codespace"], again["code"]) == ("sdk", 19)


def test_a_node_denies_what_it_had_in_a_block(chain: Chain) -> None:
    raw = chain.transfer()
    chain.node().broadcast(raw)
    chain.node().wait(tx_hash(raw))
    changed(chain, lambda a: a.change_node("node-1", NodeChange(forgets=2)))
    path = f"/cosmos/tx/v1beta1/txs/{tx_hash(raw)}"
    assert [chain.node().get(path)[0] for _ in range(3)] == [404, 404, 200]


def test_a_transaction_that_runs_out_of_gas_still_pays(chain: Chain) -> None:
    changed(chain, lambda a: a.use_gas(percent=1000))
    before = chain.balance("uakt")
    raw = chain.transfer(3)
    chain.node().broadcast(raw)
    result = chain.node().wait(tx_hash(raw))[1]["tx_response"]
    assert (result["codespace"], result["code"]) == ("sdk", 11)
    assert int(result["gas_used"]) > int(result["gas_wanted"])
    assert chain.balance("uakt") == before - 5_000


def test_an_empty_wallet_fails_in_the_block(chain: Chain) -> None:
    changed(chain, lambda a: a.set_balance(TENANT.address, "uact", 0))
    dseq = int(time.time() * 1000)
    raw = chain.node().build(TENANT, [create(dseq)], Wish(ttl=60), 400_000, 10_000)
    assert chain.node().broadcast(raw)[1]["tx_response"]["code"] == 0
    result = chain.node().wait(tx_hash(raw))[1]["tx_response"]
    assert (result["codespace"], result["code"]) == ("undefined", 1)
    assert result["raw_log"].endswith("deposit invalid: insufficient balance")
    changed(chain, lambda a: a.set_balance(TENANT.address, "uact", RICH))


@pytest.mark.parametrize("kind", ["html", "truncated"])
def test_garbled_answers_are_no_json(chain: Chain, kind: Any) -> None:
    change = NodeChange(garbled=kind, garbled_count=2)
    changed(chain, lambda a: a.change_node("node-1", change))
    path = "/cosmos/base/tendermint/v1beta1/blocks/latest"
    for _ in range(2):
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
            chain.node().get(path)
    assert chain.node().get(path)[0] == 200


def test_errors_and_hanging_hit_a_node(chain: Chain) -> None:
    changed(chain, lambda a: a.errors("node-2", status=503, count=1))
    path = "/cosmos/base/tendermint/v1beta1/syncing"
    assert [chain.node(2).get(path)[0] for _ in range(2)] == [503, 200]
    with pytest.raises(Exception, match="no provider 'node-9'"):
        changed(chain, lambda a: a.errors("node-9"))


def test_one_account_at_two_doors(chain: Chain) -> None:
    """What the Console opens, the account's own key sees and closes over the chain."""
    key = Key(PrivateKey.from_hex((chain.process.folder / "account.hex").read_text()))

    async def opened() -> str:
        async with chain.process.tenant() as tenant:
            return str((await tenant.create(sdl()))["dseq"])

    async def state(dseq: str) -> Any:
        async with chain.process.tenant() as tenant:
            found = await tenant.deployment(dseq)
        return found["deployment"]["state"], found["escrow_account"]["state"]["state"]

    before = chain.balance("uact", key.address)
    dseq = asyncio.run(opened())
    assert chain.balance("uact", key.address) == before - 5_000_000
    query = f"?id.owner={key.address}&id.dseq={dseq}"
    status, found = chain.node().get(f"/akash/deployment/v1beta4/deployments/info{query}")
    assert (status, found["deployment"]["state"]) == (200, "active")
    close = MsgCloseDeployment()
    close.id.owner, close.id.dseq = key.address, int(dseq)
    chain.node().send(key, [close])
    assert asyncio.run(state(dseq)) == ("closed", "closed")
    assert chain.balance("uact", key.address) == before


def test_the_console_signs_messages_with_an_id_of_the_callers(chain: Chain) -> None:
    key = Key(PrivateKey.from_hex((chain.process.folder / "account.hex").read_text()))
    message = create(int(time.time() * 1000))
    message.id.owner = key.address
    shown = {
        "typeUrl": "/akash.deployment.v1beta4.MsgCreateDeployment",
        "value": base64.b64encode(encode(message)).decode(),
    }

    async def posted(one: dict[str, str]) -> Reply:
        async with chain.process.tenant() as tenant:
            user = (await tenant.call("GET", "/v1/user/me")).json["data"]["id"]
            body = {"data": {"userId": user, "messages": [one]}}
            return await tenant.call("POST", "/v1/tx", body)

    first = asyncio.run(posted(shown))
    assert first.status == 200
    result = chain.node().wait(first.json["data"]["transactionHash"])[1]["tx_response"]
    assert result["code"] == first.json["data"]["code"] == 0
    query = f"?id.owner={key.address}&id.dseq={message.id.dseq}"
    assert chain.node().get(f"/akash/deployment/v1beta4/deployments/info{query}")[0] == 200
    again = asyncio.run(posted(shown))
    assert (again.status, "already exists" in again.text) == (400, True)
    other = asyncio.run(posted({**shown, "typeUrl": "/cosmos.bank.v1beta1.MsgSend"}))
    assert (other.status, "is none of" in other.text) == (400, True)
    close = MsgCloseDeployment(id=message.id)
    chain.node().send(key, [close])


def test_the_commands_do_what_they_say(chain: Chain) -> None:
    async def run(*arguments: str) -> str:
        return await said(chain.process, "chain", *arguments)

    async def told() -> str:
        await run("lag", "node-2", "--blocks", "5")
        await run("full-mempool", "node-2")
        await run("garble", "node-1", "--as", "truncated")
        await run("forget", "node-1")
        assert "300 %" in await run("gas")
        assert "halted" in await run("halt")
        assert f"{TENANT.address} has 5uakt" in await run("balance", TENANT.address, "uakt", "5")
        shown = await run("show")
        await run("halt", "--end")
        await said(chain.process, "lost-answers", "node-1", "--count", "0")
        await run("balance", TENANT.address, "uakt", str(RICH))
        return shown

    shown = asyncio.run(told())
    for words in (
        "local: height",
        "halted",
        "5 blocks behind",
        "full mempool",
        "truncated",
        "denies 3",
    ):
        assert words in shown


def test_the_index_runs_behind_the_blocks(own: Callable[[str], SandboxProcess]) -> None:
    chain = Chain(own(CONFIG + "  index_lag_seconds: 2\n"))
    raw = chain.transfer(4)
    chain.node().broadcast(raw)
    until(lambda: chain.balance("uakt", named("nobody").address) == 4)
    assert chain.node().get(f"/cosmos/tx/v1beta1/txs/{tx_hash(raw)}")[0] == 404
    until(lambda: chain.node().get(f"/cosmos/tx/v1beta1/txs/{tx_hash(raw)}")[0] == 200)


def test_what_waits_survives_a_killed_process(
    own: Callable[[str], SandboxProcess],
) -> None:
    process = own(CONFIG)
    chain = Chain(process)
    changed(chain, lambda a: a.halt_chain())
    raw, paid = chain.transfer(9), chain.transfer(1)
    for each in (raw, paid):
        assert chain.node().broadcast(each)[1]["tx_response"]["code"] == 0
    process.stop(signal.SIGKILL)
    process.start()
    changed(chain, lambda a: a.halt_chain(halted=False))
    for each in (raw, paid):
        assert chain.node().wait(tx_hash(each))[1]["tx_response"]["code"] == 0
    assert chain.balance("uakt", named("nobody").address) == 10
    process.stop()
    process.start()
    assert chain.node().get(f"/cosmos/tx/v1beta1/txs/{tx_hash(raw)}")[0] == 200
