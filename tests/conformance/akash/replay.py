"""The recorded life of a tenant and a provider once more, against another chain.

Every call is made in the recorded order, with the recorded keys, messages and paths; only what ages
(expiry dates) is renewed, and what a node refuses before a block, so that no message was recorded, is
made again here.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message

from akash_proto.registry import type_of
from akash_proto.rest import parse
from akash_proto.schema.akash_base_deposit_v1_pb2 import Source, balance
from akash_proto.schema.akash_deployment_v1beta4_pb2 import (
    MsgCloseDeployment,
    MsgCreateDeployment,
)
from akash_proto.schema.akash_market_v1_pb2 import lease_closed_owner
from akash_proto.schema.akash_market_v1beta5_pb2 import MsgCloseBid
from akash_proto.schema.akash_oracle_v2_pb2 import MsgAddPriceEntry
from akash_proto.schema.cosmos_authz_v1beta1_pb2 import MsgGrant
from akash_proto.schema.cosmos_tx_v1beta1_pb2 import TxBody
from akash_proto.tx import decode_tx, raw_tx
from akash_proto.wire import encode
from tests.conformance.akash.chain_client import Key, Node, Wish, named
from tests.conformance.akash.recordings import Exchange, body, exchanges

BASE = 1_795_355_264_885
"""The first dseq of the recording."""
NAMES = ("treasury", "provider", "tenant", "stranger", "oracle", "auditor", "nobody")
HOT = f"hot-{BASE}"
GAS, FEE = 400_000, 10_000
_DAY = 86_400
_EPOCH = 10
_USDC = "ibc/170C677610AC31DF0904FFE09CD3B5C657492170E7E52372E48756B71E56F2F1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One transaction of the recording: who signs it, what is in it, how it is made."""

    key: Key
    messages: tuple[Message, ...]
    wish: Wish = field(default_factory=Wish)
    raw: bytes | None = None


@dataclass(slots=True)
class Replay:
    """Makes the calls and keeps the answers by the recordings' names.

    ``halt`` stops the chain from making blocks, and lets it make them again.
    """

    node: Node
    halt: Callable[[bool], None]
    keys: dict[str, Key] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)
    gas: dict[str, int] = field(default_factory=dict)
    leased_at: int = 0

    def run(self) -> dict[str, Answer]:
        """Make every recorded call once; return the answers."""
        self.keys = {name: named(name) for name in (*NAMES, HOT)}
        for exchange in exchanges().values():
            self._before(exchange.name)
            self.answers[exchange.name] = Answer(**self._made(exchange))
        return self.answers

    def _made(self, exchange: Exchange) -> dict[str, Any]:
        base, _, kind = exchange.name.rpartition(".")
        match kind if base else "query":
            case "simulate":
                return self._simulated(base)
            case "broadcast":
                return self._broadcast(base)
            case "tx":
                sent = self.answers[f"{base}.broadcast"].body["tx_response"]
                return _pair(self.node.wait(sent["txhash"]))
            case _:
                return _pair(self.node.get(self._path(exchange)))

    def _path(self, exchange: Exchange) -> str:
        if exchange.name == "q-deployments-page-2":
            key = self.answers["q-deployments-page-1"].body["pagination"]["next_key"]
            return f"{exchange.path.partition('&pagination.key=')[0]}&pagination.key={key}"
        if exchange.name == "q-block-results-events":
            return f"/cosmos/tx/v1beta1/txs/block/{self.node.height() - 1}"
        return exchange.path

    def _before(self, name: str) -> None:
        """Do what the recording did without writing it down, or by waiting."""
        match name:
            case "batch-close.simulate":
                self._create_flight()
            case "q-deployment-dear-unsettled":
                self._until(lambda: self.node.height() >= self.leased_at + 11)
            case "err-unordered-expired.broadcast":
                # Its time is up after the last block and before the next, however slow this is.
                self.halt(True)
            case "err-unordered-expired.tx":
                self.halt(False)
            case "mint-act.simulate" | "mint-act-too-small.simulate":
                # It gets into one of an epoch's first blocks, so that it is seen waiting.
                self._until(lambda: self.node.height() % _EPOCH in (1, 2, 3))
                self.halt(True)
            case "mint-act.tx" | "mint-act-too-small.tx":
                self.halt(False)
            case "q-bme-executed" | "q-bme-canceled":
                path = exchanges()[name].path
                self._until(lambda: bool(self.node.get(path)[1]["records"]))
            case _:
                pass

    def _create_flight(self) -> None:
        """Create the ten deployments that were sent without waiting for each other."""
        closed = self._recorded("batch-close").messages
        (template,) = self._recorded("create-deployment").messages
        assert isinstance(template, MsgCreateDeployment)
        hashes = []
        for message in closed:
            assert isinstance(message, MsgCloseDeployment)
            path = (
                "/akash/deployment/v1beta4/deployments/info?"
                f"id.owner={message.id.owner}&id.dseq={message.id.dseq}"
            )
            if self.node.get(path)[0] == 200:
                continue
            create = MsgCreateDeployment()
            create.CopyFrom(template)
            create.id.dseq = message.id.dseq
            raw = self.node.build(self.keys["tenant"], [create], Wish(ttl=60), GAS, FEE)
            hashes.append(self.node.broadcast(raw)[1]["tx_response"]["txhash"])
        for hash_ in hashes:
            assert self.node.wait(hash_)[1]["tx_response"]["code"] == 0

    def _simulated(self, base: str) -> dict[str, Any]:
        case = self._case(base)
        raw = case.raw or self.node.build(case.key, case.messages, case.wish, 0, 0)
        status, found = self.node.simulate(raw)
        if status == 200:
            self.gas[base] = 2 * int(found["gas_info"]["gas_used"])
        return _pair((status, found))

    def _broadcast(self, base: str) -> dict[str, Any]:
        case = self._case(base)
        gas = case.wish.gas or (GAS if base.startswith("err-") else self.gas.get(base, GAS))
        fee = -(-gas * 25 // 1000) if case.wish.fee is None else case.wish.fee
        raw = case.raw or self.node.build(case.key, case.messages, case.wish, gas, fee)
        self.raw[base] = raw
        status, found = self.node.broadcast(raw)
        if base == "lease-dear":
            result = self.node.wait(found["tx_response"]["txhash"])[1]
            self.leased_at = int(result["tx_response"]["height"])
        return _pair((status, found))

    def _case(self, base: str) -> Case:
        made = CASES.get(base)
        return made(self) if made else self._recorded(base)

    def _recorded(self, base: str) -> Case:
        """Return the transaction that a block of the recording has."""
        tx = body(f"{base}.tx")["tx"]
        shown = tx["auth_info"]["signer_infos"][0]["public_key"]["key"]
        keys = {_base64(key.public): key for key in self.keys.values()}
        wish = Wish(
            ttl=60 if tx["body"]["unordered"] else None,
            granter=tx["auth_info"]["fee"]["granter"],
        )
        messages = tuple(_renewed(_message(each)) for each in tx["body"]["messages"])
        return Case(key=keys[shown], messages=messages, wish=wish)

    def create(self, **changes: Any) -> MsgCreateDeployment:
        """Return a deployment like the first, for another dseq."""
        (message,) = self._recorded("create-deployment").messages
        assert isinstance(message, MsgCreateDeployment)
        message.id.dseq = BASE + 1
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    def tenant(self, *messages: Message, raw: bytes | None = None, **wish: Any) -> Case:
        return Case(key=self.keys["tenant"], messages=messages, wish=Wish(**wish), raw=raw)

    def _until(self, ready: Callable[[], bool]) -> None:
        for _ in range(1000):
            if ready():
                return
            time.sleep(0.02)
        raise AssertionError("what was waited for did not happen")


def _pair(found: tuple[int, Any]) -> dict[str, Any]:
    return {"status": found[0], "body": found[1]}


def _message(shown: Mapping[str, Any]) -> Message:
    rest = {name: part for name, part in shown.items() if name != "@type"}
    return parse(type_of(shown["@type"]), rest)


def _renewed(message: Message) -> Message:
    if isinstance(message, MsgGrant):
        message.grant.expiration.seconds = int(time.time()) + _DAY
    if isinstance(message, MsgAddPriceEntry):
        message.timestamp.seconds = int(time.time()) - 1
    return message


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _deposit(denom: str, *sources: Source) -> Callable[[Replay], Case]:
    def made(replay: Replay) -> Case:
        message = replay.create()
        message.deposit.amount.denom = denom
        del message.deposit.sources[:]
        message.deposit.sources.extend(sources)
        return replay.tenant(message)

    return made


def _price(denom: str) -> Callable[[Replay], Case]:
    def made(replay: Replay) -> Case:
        message = replay.create()
        for group in message.groups:
            for unit in group.resources:
                unit.price.denom = denom
        return replay.tenant(message)

    return made


def _with(**wish: Any) -> Callable[[Replay], Case]:
    return lambda replay: replay.tenant(replay.create(), **wish)


def _no_groups(replay: Replay) -> Case:
    message = replay.create()
    del message.groups[:]
    return replay.tenant(message)


def _dseq_zero(replay: Replay) -> Case:
    message = replay.create()
    message.id.dseq = 0
    return replay.tenant(message)


def _not_mine(replay: Replay) -> Case:
    return Case(key=replay.keys["stranger"], messages=(replay.create(),))


def _unknown_account(replay: Replay) -> Case:
    nobody = replay.keys["nobody"]
    message = MsgCloseDeployment()
    message.id.owner, message.id.dseq = nobody.address, 1
    return Case(key=nobody, messages=(message,), wish=Wish(number=99, sequence=0))


def _unknown_type(replay: Replay) -> Case:
    url = "/akash.deployment.v1beta3.MsgCloseDeployment"
    case = replay.tenant(replay.create())
    raw = replay.node.build(case.key, case.messages, case.wish, GAS, FEE)
    return replay.tenant(replay.create(), raw=_retyped(raw, url))


def _retyped(raw: bytes, url: str) -> bytes:
    decoded = decode_tx(raw)
    other = TxBody()
    other.CopyFrom(decoded.body)
    other.messages[0].CopyFrom(Packed(type_url=url, value=other.messages[0].value))
    return raw_tx(encode(other), decoded.auth_info_bytes, decoded.signatures)


def _bad_reason(replay: Replay) -> Case:
    (message,) = replay._recorded("close-bid-by-provider").messages
    assert isinstance(message, MsgCloseBid)
    message.reason = lease_closed_owner
    return Case(key=replay.keys["provider"], messages=(message,))


def _no_feegrant(replay: Replay) -> Case:
    case = replay._recorded("close-on-grant")
    granter = replay.keys["stranger"].address
    return Case(key=case.key, messages=case.messages, wish=Wish(granter=granter))


def _close_overdrawn(replay: Replay) -> Case:
    (create,) = replay._recorded("create-dear").messages
    assert isinstance(create, MsgCreateDeployment)
    message = MsgCloseDeployment()
    message.id.CopyFrom(create.id)
    return replay.tenant(message)


def _price_act(replay: Replay) -> Case:
    (message,) = replay._recorded("price-akt").messages
    assert isinstance(message, MsgAddPriceEntry)
    message.id.denom = "act"
    return Case(key=replay.keys["oracle"], messages=(message,))


def _replayed(replay: Replay) -> Case:
    return replay.tenant(raw=replay.raw["unordered-create"])


CASES: dict[str, Callable[[Replay], Case]] = {
    "err-deposit-uakt": _deposit("uakt", balance),
    "err-deposit-unknown-denom": _deposit("uxyz", balance),
    "err-deposit-no-sources": _deposit("uact"),
    "err-hash-31-bytes": lambda r: r.tenant(r.create(hash=bytes(31))),
    "err-hash-empty": lambda r: r.tenant(r.create(hash=b"")),
    "err-no-groups": _no_groups,
    "err-dseq-zero": _dseq_zero,
    "err-price-uakt": _price("uakt"),
    "err-price-usdc": _price(_USDC),
    "err-not-my-owner": _not_mine,
    "err-sequence-old": _with(sequence_off=-1),
    "err-sequence-ahead": _with(sequence_off=1),
    "err-account-number-wrong": _with(number_off=1),
    "err-fee-zero": _with(fee=0),
    "err-fee-low": _with(fee=9999),
    "err-out-of-gas": _with(gas=90_000),
    "err-out-of-gas-ante": _with(gas=1000),
    "err-unknown-account": _unknown_account,
    "err-wrong-chain-id": _with(chain_id="akashnet-2"),
    "err-unsigned": _with(is_signed=False),
    "err-garbage": lambda r: r.tenant(raw=b"\x0a\x03abc"),
    "err-unknown-type-url": _unknown_type,
    "err-timeout-height-past": _with(timeout_height=1),
    "err-unordered-expired": _with(ttl=0.0),
    "err-unordered-too-long": _with(ttl=660),
    "err-unordered-with-sequence": _with(ttl=30, sequence_off=7),
    "err-sequence-zero-ordered": _with(sequence=0),
    "err-unordered-replay-mempool": _replayed,
    "err-unordered-replay-committed": _replayed,
    "err-close-bid-bad-reason": _bad_reason,
    "err-feegrant-none": _no_feegrant,
    "close-overdrawn": _close_overdrawn,
    "price-act": _price_act,
}
"""Transactions that no block of the recording has."""
