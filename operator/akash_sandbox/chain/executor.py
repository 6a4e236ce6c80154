"""Runs transactions against the state: whole, or not at all."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import Message

from akash_proto.registry import type_url
from akash_proto.schema.cosmos_authz_v1beta1_pb2 import MsgExec
from akash_sandbox.chain import basic, gas, result, signers
from akash_sandbox.chain.ante import Ante, Moment
from akash_sandbox.chain.handlers.context import Context
from akash_sandbox.chain.handlers.dispatch import Done, execute
from akash_sandbox.chain.refused import TxError, out_of_gas
from akash_sandbox.chain.result import Json, Result
from akash_sandbox.chain.state import State
from akash_sandbox.chain.tx import Tx
from akash_sandbox.market.events import Event
from akash_sandbox.market.refusal import RefusalError


class SimulationError(Exception):
    """A simulation that failed, with the gas it used until then."""

    def __init__(self, text: str, used: int) -> None:
        super().__init__(text)
        self.used = used


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The messages of a transaction, executed; ``refused`` if one was."""

    used: int
    events: tuple[Event, ...]
    done: tuple[Done, ...]
    refused: RefusalError | None = None


class Executor:
    """Checks, simulates and delivers."""

    def __init__(self, chain_id: str, state: State) -> None:
        self._ante = Ante(chain_id, state)
        self._state = state

    def check(self, tx: Tx, moment: Moment, pending: int) -> None:
        """Decide whether a transaction may wait for a block; raises RefusalError."""
        for message in tx.messages:
            basic.check(message)
        self._ante.check(tx, moment, pending)

    def simulate(self, tx: Tx, moment: Moment, pending: int) -> Json:
        """Return the answer of a simulation, after which nothing has changed.

        Raises SimulationError.
        """
        before = self._state.snapshot()
        self._state.book.events.take()
        used = 0
        try:
            for message in tx.messages:
                basic.check(message)
            used = self._ante.simulate(tx, moment, pending)
            self._ante.tell_simulated(tx)
            told = self._state.book.events.take()
            self._state.accounts.opened(tx.signer, tx.key)
            run = self._messages(tx, moment, used, gas.UNLIMITED)
        except RefusalError as refused:
            raise SimulationError(str(refused), used) from refused
        finally:
            self._state.restore(before)
            self._state.book.events.take()
        if run.refused is not None:
            raise SimulationError(str(run.refused), run.used)
        shown = result.events([*told, *run.events], index=False)
        return {
            "gas_info": {"gas_wanted": str(gas.UNLIMITED), "gas_used": str(run.used)},
            "result": {
                "data": _base64(result.data(run.done)),
                "log": "",
                "events": shown,
                "msg_responses": result.responses(run.done),
            },
        }

    def deliver(self, tx: Tx, moment: Moment, gas_percent: int = 100) -> Result:
        """Execute a transaction in a block; a message that fails still costs the fee.

        ``gas_percent`` is what it uses of what it would.
        """
        events = self._state.book.events
        events.take()
        before = self._state.snapshot()
        try:
            used = self._ante.deliver(tx, moment)
        except RefusalError as refused:
            self._state.restore(before)
            events.take()
            return self._result(tx, moment, 0, (), refused=refused)
        told = tuple(events.take())
        paid = self._state.snapshot()
        run = self._messages(tx, moment, used, tx.gas, gas_percent)
        if run.refused is not None:
            self._state.restore(paid)
            return self._result(tx, moment, run.used, told, refused=run.refused)
        return self._result(tx, moment, run.used, (*told, *run.events), done=run.done)

    def _messages(self, tx: Tx, moment: Moment, used: int, limit: int, percent: int = 100) -> _Run:
        events = self._state.book.events
        context = Context(state=self._state, now=moment.time, height=moment.height)
        told: list[Event] = []
        done: list[Done] = []
        for index, message in enumerate(tx.messages):
            refused: RefusalError | None = None
            try:
                done.append(execute(context, message))
            except RefusalError as error:
                text = f"failed to execute message; message index: {index}: {error}"
                refused = TxError(text, codespace=error.codespace, code=error.code)
            fresh = events.take()
            used += gas.of_message(type_url(message), len(fresh)) * percent // 100
            if used > limit:
                refused = out_of_gas("ReadFlat", limit, used)
            if refused is not None:
                return _Run(used=used, events=(), done=(), refused=refused)
            told.extend(_of_message(message, index, fresh))
        return _Run(used=used, events=tuple(told), done=tuple(done))

    def _result(
        self,
        tx: Tx,
        moment: Moment,
        used: int,
        told: Sequence[Event],
        *,
        done: Sequence[Done] = (),
        refused: RefusalError | None = None,
    ) -> Result:
        body = result.executed(tx, height=moment.height, time=moment.time, used=used)
        body["events"] = result.events(told, index=True)
        if refused is None:
            body["data"] = result.data(done).hex().upper()
        else:
            body |= {
                "codespace": refused.codespace,
                "code": refused.code,
                "raw_log": str(refused),
            }
        return Result(
            hash=tx.hash,
            height=moment.height,
            time=moment.time,
            senders=result.senders(told),
            body=body,
        )


def _of_message(message: Message, index: int, told: Sequence[Event]) -> list[Event]:
    """Return a message's events with its number, led by the one that tells of itself."""
    number = ("msg_index", str(index))
    inner = (("authz_msg_index", "0"),) if isinstance(message, MsgExec) else ()
    action = Event(
        type="message",
        attributes=(
            ("action", type_url(message)),
            ("sender", signers.signer(message)),
            ("module", signers.module(message)),
            number,
        ),
    )
    numbered = [Event(type=e.type, attributes=(*e.attributes, *inner, number)) for e in told]
    return [action, *numbered]


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
