"""Messages of one account into transactions: many in one, one transaction in flight at a time.

What is asked for while a transaction waits for its block goes into the next. A message that the chain
refuses is taken out and fails alone; the others are sent without it. A message that only fails beside
the others (the second of two that the wallet can pay only once) waits for the next transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from google.protobuf.message import Message

from garrison.adapters.akash.chain.answers import TxResponse
from garrison.adapters.akash.chain.broadcast import RefusedError
from garrison.adapters.akash.chain.codes import LOW_FEE, OUT_OF_GAS, Refusal, refusal
from garrison.adapters.akash.chain.composing import TIMEOUT, Sheet, SignedTx, signed
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.terms import TermsReader
from garrison.adapters.akash.wallet.signer import Signer
from garrison.errors import GarrisonError, UnavailableError, UnknownOutcomeError
from garrison.ports.clock import Clock

GATHER_SECONDS = 0.05
MAX_MESSAGES = 100
MAX_GAS = 40_000_000
"""For one transaction; a batch that needs more is halved."""
MAX_WAIT = timedelta(seconds=30)
"""A message that could not be signed for so long is given back: nothing of it was sent."""
MAX_GAS_TRIES = 3


def gas_limit(used: int, tries: int = 0) -> int:
    """Return the gas to pay for after a simulation used so much, or a try ran out of that much.

    A simulation counts too little: it pays no fee, and rent that accrues until the block costs gas.
    """
    return used * 8 // 5 + 40_000 if tries == 0 else used * 8 // 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Item:
    what: str
    message: Message
    done: asyncio.Future[None]
    asked_at: float

    def fail(self, error: GarrisonError) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def succeed(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Carrier(Protocol):
    """What takes transactions to the chain (``broadcast.Broadcaster``)."""

    async def simulate(self, messages: Sequence[Message], lifetime: timedelta) -> int: ...

    async def send(self, tx: SignedTx) -> TxResponse: ...


class Outbox:
    """Sends one account's messages."""

    def __init__(
        self,
        *,
        nodes: Nodes,
        signer: Signer,
        terms: TermsReader,
        carrier: Carrier,
        clock: Clock,
        fee_granter: str = "",
        lifetime: timedelta = TIMEOUT,
    ) -> None:
        self._nodes = nodes
        self._signer = signer
        self._terms = terms
        self._carrier = carrier
        self._clock = clock
        self._fee_granter = fee_granter
        self._lifetime = lifetime
        self._waiting: list[_Item] = []
        self._worker: asyncio.Task[None] | None = None

    async def send(self, message: Message, what: str) -> None:
        """Return when the message took effect in a block. ``what`` names it in errors.

        Raises what the chain's refusal means; UnavailableError when it did not and will not take
        effect, UnknownOutcomeError when that is not known.
        """
        loop = asyncio.get_running_loop()
        item = _Item(what=what, message=message, done=loop.create_future(), asked_at=loop.time())
        self._waiting.append(item)
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work(), name="akash-outbox")
        await item.done

    async def close(self) -> None:
        """Stop; what waits is given back unsent, what is in flight has an unknown outcome."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _work(self) -> None:
        batch: list[_Item] = []
        try:
            while self._waiting:
                await asyncio.sleep(GATHER_SECONDS)
                batch, self._waiting = self._waiting[:MAX_MESSAGES], self._waiting[MAX_MESSAGES:]
                await self._deliver(batch)
        finally:
            # Nothing is left here unless this task was ended from outside, or by a mistake of ours.
            for item in batch:
                item.fail(UnknownOutcomeError(f"{item.what}: the sender ended; it is looked up"))
            for item in self._waiting:
                item.fail(UnavailableError(f"{item.what}: not sent, the sender ended"))
            self._waiting = []

    async def _deliver(self, batch: Sequence[_Item]) -> None:
        """Settle every item of the batch, or put it back to wait."""
        left = list(batch)
        try:
            while left := self._in_time(left):
                left, gas = await self._simulated(left)
                left = await self._transact(left, gas) if left else []
        except GarrisonError as error:
            for item in left:
                item.fail(_about(item, error))

    def _in_time(self, items: Sequence[_Item]) -> list[_Item]:
        now = asyncio.get_running_loop().time()
        late = [each for each in items if now - each.asked_at > MAX_WAIT.total_seconds()]
        for item in late:
            item.fail(
                UnavailableError(f"{item.what}: not sent, the chain is too slow; it is tried again")
            )
        return [each for each in items if each not in late and not each.done.done()]

    async def _simulated(self, items: list[_Item]) -> tuple[list[_Item], int]:
        """Return the items that pass together, and their gas; the others have failed or wait."""
        while items:
            try:
                used = await self._simulate(items)
            except RefusedError as error:
                items = await self._without_culprit(items, error.why)
                continue
            if gas_limit(used) <= MAX_GAS or len(items) == 1:
                return items, min(gas_limit(used), MAX_GAS)
            half = len(items) // 2
            self._waiting[:0] = items[half:]
            items = items[:half]
        return [], 0

    async def _without_culprit(self, items: list[_Item], why: Refusal) -> list[_Item]:
        index = 0 if len(items) == 1 else why.index
        if index is None or index >= len(items):
            return await self._alone(items)
        culprit = items[index]
        others = items[:index] + items[index + 1 :]
        if not others:
            culprit.fail(why.error(culprit.what))
        elif (own := await self._own_fault(culprit)) is not None:
            culprit.fail(own.error(culprit.what))
        else:
            self._waiting.append(culprit)
        return others

    async def _alone(self, items: list[_Item]) -> list[_Item]:
        """Return the items that pass alone; when all do, only the first, and the others wait."""
        faults = [(item, await self._own_fault(item)) for item in items]
        for item, fault in faults:
            if fault is not None:
                item.fail(fault.error(item.what))
        sound = [item for item, fault in faults if fault is None]
        if len(sound) == len(items):
            self._waiting.extend(items[1:])
            return items[:1]
        return sound

    async def _own_fault(self, item: _Item) -> Refusal | None:
        try:
            await self._simulate([item])
        except RefusedError as error:
            return error.why
        return None

    async def _simulate(self, items: Sequence[_Item]) -> int:
        messages = [each.message for each in items]
        return await self._carrier.simulate(messages, self._lifetime)

    async def _transact(self, items: list[_Item], gas: int) -> list[_Item]:
        """Return what has to be sent again: the others, when one failed in the block.

        What ran out of gas, or paid a fee that was too low, is sent again with more of it.
        """
        for tries in range(1, MAX_GAS_TRIES + 1):
            items = self._in_time(items)
            if not items:
                return []
            tx = await self._sign(items, gas)
            why, used = await self._fate(tx)
            if why is None:
                for item in items:
                    item.succeed()
                return []
            if why.code == LOW_FEE:
                self._terms.forget()  # this node asks for more than the one that was read
            if why.code not in {OUT_OF_GAS, LOW_FEE} or tries == MAX_GAS_TRIES:
                return self._after(items, why)
            if why.code == OUT_OF_GAS:
                gas = min(gas_limit(max(used, gas), tries), MAX_GAS)
        return items

    async def _fate(self, tx: SignedTx) -> tuple[Refusal | None, int]:
        try:
            landed = await self._carrier.send(tx)
        except RefusedError as error:
            return error.why, 0
        if landed.code == 0:
            return None, landed.gas_used
        return refusal(landed.codespace, landed.code, landed.raw_log), landed.gas_used

    def _after(self, items: list[_Item], why: Refusal) -> list[_Item]:
        index = 0 if len(items) == 1 else why.index
        if index is None or index >= len(items):
            for item in items:
                item.fail(why.error(item.what))
            return []
        items[index].fail(why.error(items[index].what))
        return items[:index] + items[index + 1 :]

    async def _sign(self, items: Sequence[_Item], gas: int) -> SignedTx:
        terms = await self._terms.terms()
        sheet = Sheet(
            chain_id=await self._nodes.chain_id(),
            account_number=await self._terms.account_number(),
            gas_price=terms.gas_price,
            fee_granter=self._fee_granter,
        )
        return await signed(
            self._signer,
            [each.message for each in items],
            sheet=sheet,
            gas=gas,
            expires_at=self._clock.now() + self._lifetime,
        )


def _about(item: _Item, error: GarrisonError) -> GarrisonError:
    """Return the error again, naming the item: each waits for an exception of its own."""
    copied = type(error)(f"{item.what}: {error}")
    copied.__cause__ = error
    return copied
