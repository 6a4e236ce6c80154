"""Many messages, few transactions; one bad message sinks no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from google.protobuf.message import Message

from akash_proto.schema.akash_deployment_v1beta4_pb2 import MsgCloseDeployment
from akash_proto.tx import decode_tx
from garrison.adapters.akash.chain import outbox
from garrison.adapters.akash.chain.answers import TxResponse
from garrison.adapters.akash.chain.broadcast import RefusedError
from garrison.adapters.akash.chain.codes import refusal, simulated_refusal
from garrison.adapters.akash.chain.composing import SignedTx
from garrison.adapters.akash.chain.messages import close
from garrison.adapters.akash.chain.outbox import MAX_GAS, MAX_MESSAGES, Outbox, gas_limit
from garrison.adapters.akash.chain.terms import TermsReader
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner
from garrison.adapters.system import SystemClock
from garrison.errors import (
    FundsError,
    GarrisonError,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UnknownOutcomeError,
)
from tests.conformance.akash.recordings import body
from tests.unit.adapters.akash.chain.node_double import NodeDouble, nodes_of

SIGNER = LocalSigner(PrivateKey(7))
GAS = 100_000
MISSING = "Deployment not found"
POOR = "deposit invalid: insufficient balance"


def dseq(message: Message) -> int:
    assert isinstance(message, MsgCloseDeployment)
    return message.id.dseq


@dataclass
class Chain:
    """Runs closes: ``missing`` ones fail, and only ``affordable`` ones go into one transaction."""

    missing: set[int] = field(default_factory=set)
    missing_in_block: set[int] = field(default_factory=set)
    least_fee: int = 0
    affordable: int = 1000
    out_of_gas: int = 0
    gas: int = GAS
    broken: Exception | None = None
    landed: list[list[int]] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    simulations: int = 0
    gate: asyncio.Event | None = None

    async def simulate(self, messages: Sequence[Message], lifetime: timedelta) -> int:
        self.simulations += 1
        fault = self._fault([dseq(each) for each in messages], self.missing)
        if fault is not None:
            raise RefusedError(simulated_refusal(f"{fault} [/x/y.go:7] with gas used: '5'"))
        return self.gas * len(messages)

    async def send(self, tx: SignedTx) -> TxResponse:
        if self.gate is not None:
            await self.gate.wait()
        if self.broken is not None:
            raise self.broken
        numbers = [dseq(each) for each in decode_tx(tx.raw).messages]
        self.limits.append(tx.gas)
        paid = int(decode_tx(tx.raw).auth_info.fee.amount[0].amount)
        if paid < self.least_fee:
            raise RefusedError(refusal("sdk", 13, f"insufficient fees; got: {paid}uakt"))
        if self.out_of_gas:
            self.out_of_gas -= 1
            return _response(tx, "sdk", 11, "out of gas in location: ReadFlat", tx.gas + 1)
        fault = self._fault(numbers, self.missing | self.missing_in_block)
        if fault is not None:
            return _response(tx, "deployment", 4, fault, 5)
        self.landed.append(numbers)
        return _response(tx, "", 0, "", self.gas)

    def _fault(self, numbers: list[int], missing: set[int]) -> str | None:
        for index, number in enumerate(numbers):
            text = MISSING if number in missing else POOR if index >= self.affordable else None
            if text is not None:
                return f"failed to execute message; message index: {index}: {text}"
        return None


def _response(tx: SignedTx, space: str, code: int, log: str, used: int) -> TxResponse:
    return TxResponse(
        txhash=tx.hash, codespace=space, code=code, raw_log=log, height=1000, gas_used=used
    )


def terms_node() -> NodeDouble:
    """A node that tells the terms of a recorded chain."""
    double = NodeDouble()
    account = "/cosmos/auth/v1beta1/accounts/" + SIGNER.address
    double.answers[account] = (200, body("q-account-tenant-used"))
    double.answers["/cosmos/base/node/v1beta1/config"] = (200, body("q-node-config"))
    double.answers["/akash/deployment/v1beta4/params"] = (200, body("q-params-deployment"))
    return double


@asynccontextmanager
async def outbox_on(chain: Chain, node: NodeDouble | None = None) -> AsyncIterator[Outbox]:
    async with nodes_of(node or terms_node()) as nodes:
        box = Outbox(
            nodes=nodes,
            signer=SIGNER,
            terms=TermsReader(nodes=nodes, address=SIGNER.address),
            carrier=chain,
            clock=SystemClock(),
        )
        try:
            yield box
        finally:
            await box.close()


async def send(box: Outbox, *numbers: int) -> list[GarrisonError | None]:
    """Send closes at once; returns each one's error."""
    calls = (box.send(close(owner="o", dseq=each), f"close {each}") for each in numbers)
    found = await asyncio.gather(*calls, return_exceptions=True)
    for each in found:
        assert each is None or isinstance(each, GarrisonError)
    return list(found)  # type: ignore[arg-type]


async def test_messages_asked_for_at_once_go_into_one_transaction() -> None:
    chain = Chain()
    async with outbox_on(chain) as box:
        assert await send(box, *range(1, 21)) == [None] * 20
    assert chain.landed == [list(range(1, 21))]
    assert chain.limits == [gas_limit(20 * GAS)]


async def test_more_messages_than_one_transaction_takes_make_two() -> None:
    chain = Chain()
    async with outbox_on(chain) as box:
        numbers = range(1, 2 * MAX_MESSAGES + 1)
        assert await send(box, *numbers) == [None] * len(numbers)
    assert [len(each) for each in chain.landed] == [MAX_MESSAGES, MAX_MESSAGES]


async def test_what_comes_while_one_is_in_flight_goes_into_the_next() -> None:
    chain = Chain(gate=asyncio.Event())
    async with outbox_on(chain) as box:
        first = asyncio.ensure_future(send(box, 1))
        await asyncio.sleep(0.2)
        rest = asyncio.ensure_future(send(box, 2, 3, 4))
        await asyncio.sleep(0.1)
        assert chain.gate is not None
        chain.gate.set()
        assert await first == [None]
        assert await rest == [None] * 3
    assert chain.landed == [[1], [2, 3, 4]]


async def test_a_bad_message_fails_alone() -> None:
    chain = Chain(missing={2, 5})
    async with outbox_on(chain) as box:
        found = await send(box, 1, 2, 3, 4, 5)
    assert chain.landed == [[1, 3, 4]]
    for index in (1, 4):
        assert type(found[index]) is NotFoundError
        assert str(found[index]).startswith(f"close {index + 1}: ")
    assert [found[index] for index in (0, 2, 3)] == [None] * 3


async def test_a_message_that_only_its_block_refuses_sinks_no_other() -> None:
    chain = Chain(missing_in_block={2})
    async with outbox_on(chain) as box:
        found = await send(box, 1, 2, 3)
    assert chain.landed == [[1, 3]]
    assert type(found[1]) is NotFoundError
    assert found[::2] == [None, None]


async def test_messages_that_cannot_be_paid_together_go_one_after_the_other() -> None:
    chain = Chain(affordable=2)
    async with outbox_on(chain) as box:
        assert await send(box, 1, 2, 3) == [None] * 3
    assert chain.landed == [[1, 2], [3]]


async def test_one_that_cannot_be_paid_at_all_is_a_lack_of_funds() -> None:
    chain = Chain(affordable=0)
    async with outbox_on(chain) as box:
        (found,) = await send(box, 1)
    assert type(found) is FundsError
    assert chain.landed == []


async def test_gas_that_ran_out_is_raised_and_tried_again() -> None:
    chain = Chain(out_of_gas=2)
    async with outbox_on(chain) as box:
        assert await send(box, 1) == [None]
    assert chain.limits == sorted(set(chain.limits))
    assert len(chain.limits) == 3


async def test_a_node_that_asks_for_more_than_another_did_is_paid_more() -> None:
    chain = Chain(least_fee=gas_limit(GAS) * 3 // 100)
    node = terms_node()
    async with outbox_on(chain, node) as box:
        (found,) = await send(box, 1)
        assert type(found) is UnavailableError
        assert len(chain.limits) == 3, "not for ever"
        config = {"minimum_gas_price": "0.05uakt"}
        node.answers["/cosmos/base/node/v1beta1/config"] = (200, config)
        assert await send(box, 2) == [None]
    assert chain.landed == [[2]]
    assert len(chain.limits) == 4
    assert len(set(chain.limits)) == 1, "it was no lack of gas"


async def test_gas_is_not_raised_for_ever() -> None:
    chain = Chain(out_of_gas=99)
    async with outbox_on(chain) as box:
        (found,) = await send(box, 1)
    assert type(found) is UnavailableError
    assert len(chain.limits) == 3
    assert max(chain.limits) <= MAX_GAS


async def test_gas_is_not_raised_for_a_message_that_waited_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When blocks are late, another try would land after its outcome was decided."""
    monkeypatch.setattr(outbox, "MAX_WAIT", timedelta(seconds=1))
    chain = Chain(out_of_gas=99, gate=asyncio.Event())
    async with outbox_on(chain) as box:
        sent = asyncio.ensure_future(send(box, 1))
        await asyncio.sleep(1.2)
        assert chain.gate is not None
        chain.gate.set()
        (found,) = await sent
    assert type(found) is UnavailableError
    assert len(chain.limits) == 1


async def test_a_batch_too_large_for_a_block_is_halved() -> None:
    chain = Chain(gas=MAX_GAS // 4)
    async with outbox_on(chain) as box:
        assert await send(box, 1, 2, 3, 4) == [None] * 4
    assert sorted(number for each in chain.landed for number in each) == [1, 2, 3, 4]
    assert max(map(len, chain.landed)) == 2


@pytest.mark.parametrize("kind", [UnknownOutcomeError, UnavailableError])
async def test_an_outcome_that_is_lost_is_told_to_each(kind: type[GarrisonError]) -> None:
    chain = Chain(broken=kind("no answer"))
    async with outbox_on(chain) as box:
        found = await send(box, 1, 2)
        assert [type(each) for each in found] == [kind, kind]
        assert found[0] is not found[1]
        chain.broken = None
        assert await send(box, 3) == [None]


async def test_a_refusal_before_the_block_without_an_index_fails_everything_in_it() -> None:
    chain = Chain(broken=RefusedError(refusal("sdk", 4, "signature verification failed")))
    async with outbox_on(chain) as box:
        found = await send(box, 1, 2)
    assert {each.reason for each in found if each} == {"Unauthorized"}


async def test_a_simulation_that_blames_nobody_is_made_one_by_one() -> None:
    chain = Chain()
    together: Callable[..., object] = chain.simulate

    async def vague(messages: Sequence[Message], lifetime: timedelta) -> int:
        if len(messages) > 1:
            raise RefusedError(simulated_refusal("Invalid groups with gas used: '7'"))
        if dseq(messages[0]) == 2:
            raise RefusedError(simulated_refusal("Invalid groups with gas used: '7'"))
        return GAS

    assert callable(together)
    chain.simulate = vague  # type: ignore[method-assign]
    async with outbox_on(chain) as box:
        found = await send(box, 1, 2)
    assert type(found[1]) is RejectedError
    assert (found[0], chain.landed) == (None, [[1]])


async def test_a_message_that_waited_too_long_is_given_back_unsent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("garrison.adapters.akash.chain.outbox.MAX_WAIT", timedelta(seconds=0.2))
    chain = Chain(gate=asyncio.Event())
    async with outbox_on(chain) as box:
        first = asyncio.ensure_future(send(box, 1))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(send(box, 2))
        await asyncio.sleep(0.4)
        assert chain.gate is not None
        chain.gate.set()
        assert await first == [None]
        (late,) = await second
    assert type(late) is UnavailableError
    assert "not sent" in str(late)
    assert chain.landed == [[1]]


async def test_closing_gives_back_what_waits() -> None:
    chain = Chain(gate=asyncio.Event())
    async with outbox_on(chain) as box:
        in_flight = asyncio.ensure_future(send(box, 1))
        await asyncio.sleep(0.2)
        waiting = asyncio.ensure_future(send(box, 2))
        await asyncio.sleep(0.1)
        await box.close()
        assert [type(each) for each in await in_flight] == [UnknownOutcomeError]
        assert [type(each) for each in await waiting] == [UnavailableError]
    assert chain.landed == []
