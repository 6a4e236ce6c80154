"""Credit out of coins, by what a real chain said of its exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from google.protobuf.message import Message

from akash_proto.schema.akash_bme_v1_pb2 import MsgMintACT
from garrison.adapters.akash.chain.minter import BURNED, ChainMinter
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.outbox import Outbox
from garrison.adapters.akash.chain.purse import BALANCES, Purse
from garrison.adapters.system import SystemClock
from garrison.api.money import MicroUSD
from garrison.errors import FundsError, UnavailableError
from tests.conformance.akash.recordings import body
from tests.unit.adapters.akash.chain.node_double import NodeDouble, nodes_of
from tests.unit.adapters.serving import answering

OWNER = "akash1qwef7z2xdpuny2vr3verfff4zsqxyk2gxm3tu7"
AKT = 1_000_000
STATUS = "/akash/bme/v1/status"
PRICE = "/akash/oracle/v2/aggregated_price/akt"
LEDGER = "/akash/bme/v1/ledger"
NONE: dict[str, Any] = {"records": [], "pagination": None}
LIMIT = 48_897_058
"""uact for 40 AKT at 1.25, less the chain's 25 in 10,000, with two per cent to spare."""


class Sent:
    """Takes what would go to the chain."""

    def __init__(self) -> None:
        self.messages: list[MsgMintACT] = []

    async def send(self, message: Message, what: str) -> None:
        assert what
        assert isinstance(message, MsgMintACT)
        self.messages.append(message)


def chain(uakt: int = 41 * AKT) -> NodeDouble:
    """Return a node of a chain on which this much is in the wallet; one AKT of it is for fees."""
    double = NodeDouble()
    coins = {"balance": {"denom": BURNED, "amount": str(uakt)}}
    double.answers = {
        "/akash/bme/v1/params": (200, body("q-params-bme")),
        STATUS: (200, body("q-bme-status")),
        PRICE: (200, body("q-oracle-price")),
        LEDGER: (200, NONE),
        f"{BALANCES}/{OWNER}/by_denom": (200, coins),
    }
    return double


@asynccontextmanager
async def minting(*doubles: NodeDouble) -> AsyncIterator[tuple[ChainMinter, Sent, Nodes]]:
    sent = Sent()
    async with nodes_of(*doubles) as nodes:
        purse = Purse(nodes=nodes, clock=SystemClock(), address=OWNER, granter="")
        outbox = cast("Outbox", sent)
        yield ChainMinter(nodes=nodes, purse=purse, outbox=outbox, address=OWNER), sent, nodes


async def test_what_can_be_minted_is_what_the_coins_are_worth() -> None:
    async with minting(chain()) as (minter, _, _nodes):
        found = await minter.mintage()
    assert (found.least, found.most) == (10_000_000, LIMIT)
    assert (found.is_pending, found.problem) == (False, "")


async def test_a_mint_burns_enough_and_never_more_than_there_is() -> None:
    async with minting(chain()) as (minter, sent, _):
        await minter.mint(MicroUSD(10_000_000))
        await minter.mint(MicroUSD(LIMIT))
        with pytest.raises(FundsError, match="uakt are needed"):
            await minter.mint(MicroUSD(LIMIT + 10))
    small, large = (int(each.coins_to_burn.amount) for each in sent.messages)
    assert (small, large) == (8_180_452, 40 * AKT)
    assert small * 1.25 * (1 - 0.0025) > 10_000_000, "or the chain gives the coins back"
    assert {(each.owner, each.to) for each in sent.messages} == {(OWNER, OWNER)}


async def test_nothing_is_minted_beside_a_mint_that_is_being_decided() -> None:
    double = chain()
    double.answers[LEDGER] = (200, body("q-bme-pending"))
    async with minting(double) as (minter, sent, _):
        assert (await minter.mintage()).is_pending
        with pytest.raises(UnavailableError, match="a mint is being decided"):
            await minter.mint(MicroUSD(10_000_000))
    assert sent.messages == []
    (asked,) = {each for each in double.asked if each.startswith(LEDGER)}
    assert f"filters.source={OWNER}" in asked
    assert "filters.status=ledger_record_status_pending" in asked


def _unhealthy() -> dict[str, Any]:
    said: dict[str, Any] = body("q-oracle-price")
    said["price_health"]["is_healthy"] = False
    return said


@pytest.mark.parametrize(
    ("path", "answer", "problem"),
    [
        (STATUS, (500, body("q-bme-status-before-price")), "oracle has no price"),
        (
            STATUS,
            (200, {"status": "mint_status_halt_cr", "mints_allowed": False}),
            "halted it .mint_status_halt_cr.",
        ),
        (PRICE, (200, _unhealthy()), "price is not healthy"),
    ],
)
async def test_a_chain_that_mints_nothing_now_says_why(
    path: str, answer: tuple[int, Any], problem: str
) -> None:
    double = chain()
    double.answers[path] = answer
    async with minting(double) as (minter, sent, _):
        assert (await minter.mintage()).problem
        with pytest.raises(UnavailableError, match=problem):
            await minter.mint(MicroUSD(10_000_000))
    assert sent.messages == []


async def test_coins_for_less_than_the_least_mint_are_a_problem() -> None:
    async with minting(chain(uakt=9 * AKT)) as (minter, _, _nodes):
        found = await minter.mintage()
    assert "come to less than the least mint of 10000000 uact" in found.problem


@pytest.mark.parametrize("path", [STATUS, PRICE])
async def test_a_node_that_talks_nonsense_is_passed_over(path: str) -> None:
    broken, sound = chain(), chain()
    broken.answers[path] = answering(502, "<html>")
    async with minting(broken, sound) as (minter, sent, nodes):
        await minter.mint(MicroUSD(10_000_000))
        assert [each.usable for each in nodes.endpoints()] == [False, True]
    assert len(sent.messages) == 1


async def test_when_every_node_talks_nonsense_nothing_is_said_of_the_oracle() -> None:
    double = chain()
    double.answers[PRICE] = answering(502, "<html>")
    async with minting(double) as (minter, sent, _):
        with pytest.raises(UnavailableError, match="no node of the chain answers"):
            await minter.mint(MicroUSD(10_000_000))
    assert sent.messages == []
