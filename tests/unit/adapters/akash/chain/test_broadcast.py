"""A transaction's outcome: landed, refused, expired, or not known; never guessed."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from akash_proto.tx import decode_tx
from garrison.adapters.akash.chain import broadcast
from garrison.adapters.akash.chain.broadcast import SIMULATE, TXS, Broadcaster, RefusedError
from garrison.adapters.akash.chain.codes import MEMPOOL_FULL
from garrison.adapters.akash.chain.composing import Sheet, SignedTx, signed
from garrison.adapters.akash.chain.messages import close
from garrison.adapters.akash.chain.terms import gas_price_of
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner
from garrison.adapters.system import SystemClock
from garrison.errors import UnavailableError, UnknownOutcomeError
from tests.conformance.akash.recordings import body
from tests.unit.adapters.akash.chain.node_double import (
    IMPATIENCE,
    PATIENCE,
    NodeDouble,
    nodes_of,
)
from tests.unit.adapters.serving import Handler, answering, hanging, resetting

SIGNER = LocalSigner(PrivateKey(7))
MESSAGE = close(owner=SIGNER.address, dseq=5)
LANDED = body("create-lease.tx")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(broadcast, "PATIENCE", timedelta(seconds=0.3))


async def transaction(lifetime: float) -> SignedTx:
    sheet = Sheet(chain_id="local", account_number=2, gas_price=gas_price_of("0.025uakt"))
    expires_at = SystemClock().now() + timedelta(seconds=lifetime)
    return await signed(SIGNER, [MESSAGE], sheet=sheet, gas=100_000, expires_at=expires_at)


@asynccontextmanager
async def broadcaster(*doubles: NodeDouble) -> AsyncIterator[Broadcaster]:
    async with nodes_of(*doubles) as nodes:
        yield Broadcaster(nodes=nodes, signer=SIGNER, clock=SystemClock())


def accepting(then: dict[str, Any] | None = LANDED, first: Handler | None = None) -> NodeDouble:
    """A node that takes transactions; ``then`` is what it later finds, None: nothing."""
    double = NodeDouble()

    async def take(request: web.Request) -> web.StreamResponse:
        if first is not None and double.count(TXS) == 1:
            return await first(request)
        return web.json_response(body("create-lease.broadcast"))

    async def find(_request: web.Request) -> web.Response:
        if then is None:
            return web.json_response(body("q-tx-unknown"), status=404)
        return web.json_response(then)

    async def either(request: web.Request) -> web.StreamResponse:
        if request.path == TXS:
            return await take(request)
        if request.path.startswith(f"{TXS}/"):
            return await find(request)
        return web.json_response(double.block(double.height))

    double.everything = either
    return double


async def test_a_transaction_that_lands_is_found_by_its_hash() -> None:
    double = accepting()
    tx = await transaction(30)
    async with broadcaster(double) as sender:
        found = await sender.send(tx)
    assert (found.code, found.height) == (0, 29)
    assert double.count(f"{TXS}/{tx.hash}") == 1


async def test_a_failure_in_the_block_is_told_as_it_is() -> None:
    async with broadcaster(accepting(body("err-duplicate-dseq.tx"))) as sender:
        found = await sender.send(await transaction(30))
    assert (found.codespace, found.code) == ("deployment", 3)


@pytest.mark.parametrize("case", ["err-fee-low", "err-wrong-chain-id", "err-feegrant-none"])
async def test_a_refusal_before_the_block_is_final(case: str) -> None:
    double = accepting(first=_recorded(f"{case}.broadcast"))
    async with broadcaster(double) as sender:
        with pytest.raises(RefusedError) as raised:
            await sender.send(await transaction(30))
    recorded = body(f"{case}.broadcast")["tx_response"]
    assert raised.value.why.code == (recorded["codespace"], recorded["code"])
    assert not [each for each in double.asked if each.startswith(f"{TXS}/")]


@pytest.mark.parametrize("case", ["replay-mempool", "replay-committed"])
async def test_a_replay_is_looked_up(case: str) -> None:
    double = accepting(first=_recorded(f"err-unordered-{case}.broadcast"))
    async with broadcaster(double) as sender:
        assert (await sender.send(await transaction(30))).code == 0


@pytest.mark.parametrize(
    "fault", [resetting, hanging, answering(502, "<html>"), answering(200, "{")]
)
async def test_after_a_lost_answer_the_same_bytes_go_to_another_node(fault: Handler) -> None:
    lossy, other = accepting(first=fault), accepting()
    lossy.patience = IMPATIENCE if fault is hanging else PATIENCE
    async with broadcaster(lossy, other) as sender:
        assert (await sender.send(await transaction(30))).code == 0
    assert (lossy.count(TXS), other.count(TXS)) == (1, 1)


def _full() -> Handler:
    said = body("err-fee-low.broadcast")["tx_response"]
    full = {**said, "codespace": "sdk", "code": 20, "raw_log": "mempool is full"}
    return answering(200, json.dumps({"tx_response": full}))


async def test_a_full_mempool_is_one_nodes_own() -> None:
    busy, other = accepting(first=_full()), accepting()
    async with broadcaster(busy, other) as sender:
        assert (await sender.send(await transaction(30))).code == 0
    assert (busy.count(TXS), other.count(TXS)) == (1, 1)


async def test_when_every_mempool_is_full_nothing_was_sent() -> None:
    nodes = [accepting(first=_full()) for _ in range(2)]
    async with broadcaster(*nodes) as sender:
        with pytest.raises(RefusedError) as raised:
            await sender.send(await transaction(30))
    assert raised.value.why.code == MEMPOOL_FULL
    assert type(raised.value.why.error("x")) is UnavailableError


async def test_after_a_lost_answer_a_refusal_elsewhere_decides_nothing() -> None:
    lossy, other = accepting(first=resetting), accepting(first=_recorded("err-fee-low.broadcast"))
    async with broadcaster(lossy, other) as sender:
        assert (await sender.send(await transaction(30))).code == 0


async def test_what_got_into_no_block_before_its_timeout_never_will(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broadcast, "INDEX_LAG", timedelta(seconds=0.1))
    monkeypatch.setattr(broadcast, "PATIENCE", timedelta(seconds=60))
    double = accepting(then=None)
    tx = await transaction(-1)
    async with broadcaster(double) as sender:
        with pytest.raises(UnavailableError, match="got into no block"):
            await sender.send(tx)
    assert double.count(f"{TXS}/{tx.hash}") > 2


async def test_a_transaction_in_a_late_block_is_waited_for_until_it_is_indexed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The newest block is past the timeout, and the one before it, which was late, is not indexed."""
    monkeypatch.setattr(broadcast, "PATIENCE", timedelta(seconds=60))
    double, tx = accepting(then=None), await transaction(-15)
    original = double.everything
    assert original is not None

    async def lagging(request: web.Request) -> web.StreamResponse:
        if request.path.startswith(f"{TXS}/") and double.count(request.path) > 3:
            return web.json_response(LANDED)
        return await original(request)

    double.everything = lagging
    async with broadcaster(double) as sender:
        assert (await sender.send(tx)).code == 0


async def test_a_clock_that_is_fast_does_not_make_a_transaction_expire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By our clock the timeout has passed, by the chain's it has not."""
    monkeypatch.setattr(broadcast, "INDEX_LAG", timedelta(0))
    double = accepting(then=None)
    double.age = timedelta(seconds=20)
    async with broadcaster(double) as sender:
        with pytest.raises(UnknownOutcomeError):
            await sender.send(await transaction(-10))


async def test_what_cannot_be_looked_up_is_not_known() -> None:
    double = accepting()
    tx = await transaction(0.1)
    original = double.everything
    assert original is not None

    async def blind(request: web.Request) -> web.StreamResponse:
        if request.path.startswith(f"{TXS}/"):
            return web.json_response({"code": 13, "message": "indexing is disabled"}, status=500)
        return await original(request)

    double.everything = blind
    async with broadcaster(double) as sender:
        with pytest.raises(UnknownOutcomeError, match=tx.hash):
            await sender.send(tx)


async def test_without_a_node_nothing_was_sent() -> None:
    double = accepting()
    async with nodes_of(double) as nodes:
        await nodes.head()
        for node in nodes._nodes.values():
            node._base = node._base.with_port(1)
        sender = Broadcaster(nodes=nodes, signer=SIGNER, clock=SystemClock())
        with pytest.raises(UnavailableError, match="nothing was sent"):
            await sender.send(await transaction(30))


async def test_a_simulation_carries_no_signature() -> None:
    double = NodeDouble()
    seen: list[bytes] = []

    async def simulate(request: web.Request) -> web.Response:
        seen.append(base64.b64decode((await request.json())["tx_bytes"]))
        return web.json_response(body("create-deployment.simulate"))

    double.answers[SIMULATE] = simulate
    async with broadcaster(double) as sender:
        used = await sender.simulate([MESSAGE], timedelta(seconds=60))
    assert used == 152558
    (raw,) = seen
    tx = decode_tx(raw)
    assert (tx.signatures, tx.body.unordered, len(tx.messages)) == ((b"",), True, 1)
    assert not tx.auth_info.fee.amount


async def test_a_simulation_that_fails_says_why() -> None:
    double = NodeDouble()
    double.answers[SIMULATE] = (500, body("err-duplicate-dseq.simulate"))
    async with broadcaster(double) as sender:
        with pytest.raises(RefusedError) as raised:
            await sender.simulate([MESSAGE], timedelta(seconds=60))
    assert raised.value.why.code == ("deployment", 3)


async def test_a_simulation_goes_to_another_node_when_one_is_ill() -> None:
    ill, good = NodeDouble(), NodeDouble()
    ill.answers[SIMULATE] = (500, {"code": 13, "message": "database is closed"})
    good.answers[SIMULATE] = (200, body("create-deployment.simulate"))
    async with broadcaster(ill, good) as sender:
        assert await sender.simulate([MESSAGE], timedelta(seconds=60)) == 152558


def _recorded(name: str) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return web.json_response(body(name))

    return handler
