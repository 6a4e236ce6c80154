"""One transaction to the chain and its outcome: landed, refused, expired, or not known.

The same bytes may be sent to any number of nodes: the chain takes them once. So an answer that was lost
is followed by sending them elsewhere, and by looking for the transaction by its hash until a block later
than its timeout says that it can no longer come.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from google.protobuf.message import Message

from garrison.adapters.akash.chain.answers import SIMULATED, TX, TxResponse, understood
from garrison.adapters.akash.chain.codes import (
    IN_MEMPOOL,
    MEMPOOL_FULL,
    Refusal,
    refusal,
    simulated_refusal,
)
from garrison.adapters.akash.chain.composing import SignedTx, unsigned
from garrison.adapters.akash.chain.node import Node, NotSentError
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.wallet.signer import Signer
from garrison.errors import (
    NotFoundError,
    UnavailableError,
    UnknownOutcomeError,
    UnsafeDestinationError,
)
from garrison.ports.clock import Clock

TXS = "/cosmos/tx/v1beta1/txs"
SIMULATE = "/cosmos/tx/v1beta1/simulate"
LOOK_SECONDS = 0.5
INDEX_LAG = timedelta(seconds=10)
"""How long after a block its transactions may not be found by hash, by the clock on the wall.

A block's time cannot be used for it: it is when the block before was signed, so a late block carries an
early time, and takes transactions that look expired to everybody who waits for it.
"""
PATIENCE = timedelta(seconds=45)
"""How long after the timeout a silent chain is waited for."""
_REFUSING = {400, 500}
_REFUSED = {2, 3}
"""How a node says that a simulation failed (gRPC's unknown and invalid argument); else it is ill itself."""


class RefusedError(Exception):
    """The chain refused the transaction: nothing of it took effect."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.text)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """``is_past``: nodes do not know the transaction, and no further block can take it."""

    landed: TxResponse | None = None
    is_past: bool = False


class Broadcaster:
    """Simulates and sends transactions."""

    def __init__(self, *, nodes: Nodes, signer: Signer, clock: Clock) -> None:
        self._nodes = nodes
        self._signer = signer
        self._clock = clock

    async def simulate(self, messages: Sequence[Message], lifetime: timedelta) -> int:
        """Return the gas that the messages use now. Raises RefusedError, UnavailableError."""
        expires_at = self._clock.now() + lifetime
        body = {"tx_bytes": _text(unsigned(self._signer, messages, expires_at=expires_at))}
        refused: Refusal | None = None
        for node in await self._nodes.each():
            try:
                answer = await node.call("POST", SIMULATE, body=body)
            except (UnavailableError, UnsafeDestinationError) as error:
                self._nodes.failed(node, error)
                continue
            if answer.status == 200:
                return understood(SIMULATED, answer.body, "a simulation").gas_info.gas_used
            if answer.status in _REFUSING and answer.code in _REFUSED and answer.message:
                refused = simulated_refusal(answer.message)
                if refused.code != ("simulate", 0):
                    break
        if refused is not None:
            raise RefusedError(refused)
        raise UnavailableError("no node of the chain answers a simulation; it is tried again")

    async def send(self, tx: SignedTx) -> TxResponse:
        """Return how the transaction fared in its block, whatever its code.

        Raises RefusedError when it never got that far, UnavailableError when it was not sent or can
        no longer land, UnknownOutcomeError when that cannot be told.
        """
        await self._submit(tx)
        return await self._outcome(tx)

    async def _submit(self, tx: SignedTx) -> None:
        """Hand the bytes to a node. Returning means: they may be on their way."""
        lost, busy = False, None
        for node in await self._nodes.each():
            try:
                why = await self._hand(node, tx)
            except (NotSentError, UnsafeDestinationError) as error:
                self._nodes.failed(node, error)
                continue
            except UnavailableError as error:
                self._nodes.failed(node, error)
                lost = True
                continue
            if why is None or why.code == IN_MEMPOOL:
                return
            if why.code == MEMPOOL_FULL:
                busy = why  # of this node only
            elif not lost:
                raise RefusedError(why)
        if busy is not None and not lost:
            raise RefusedError(busy)
        if not lost:
            raise UnavailableError("no node of the chain can be reached; nothing was sent")

    async def _hand(self, node: Node, tx: SignedTx) -> Refusal | None:
        body = {"tx_bytes": _text(tx.raw), "mode": "BROADCAST_MODE_SYNC"}
        answer = await node.call("POST", TXS, body=body)
        if answer.status != 200:
            raise UnavailableError(f"{node.url} answered {answer.status} to a transaction")
        said = understood(TX, answer.body, "a transaction").tx_response
        return refusal(said.codespace, said.code, said.raw_log) if said.code else None

    async def _outcome(self, tx: SignedTx) -> TxResponse:
        give_up = tx.expires_at + PATIENCE
        past: float | None = None
        while True:
            look = await self._look(tx)
            now = asyncio.get_running_loop().time()
            if look.landed is not None:
                self._nodes.saw(look.landed.height)
                return look.landed
            if past is not None and look.is_past and now - past >= INDEX_LAG.total_seconds():
                raise UnavailableError(
                    f"transaction {tx.hash} got into no block before it expired; it is tried again"
                )
            if past is None and look.is_past:
                past = now
            if self._clock.now() >= give_up:
                raise UnknownOutcomeError(
                    f"transaction {tx.hash} was sent and cannot be looked up; it is looked for again"
                )
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, tx: SignedTx) -> _Look:
        try:
            head = await self._nodes.head()
            body = await self._nodes.get(f"{TXS}/{tx.hash}")
            return _Look(landed=understood(TX, body, "a transaction").tx_response)
        except NotFoundError:
            # Either clock alone may be wrong.
            return _Look(is_past=min(head.time, self._clock.now()) >= tx.expires_at)
        except UnavailableError:
            return _Look()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
