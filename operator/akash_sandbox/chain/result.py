"""What became of a transaction, and how REST tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.any_pb2 import Any as Packed

from akash_proto.rest import render
from akash_proto.schema.cosmos_tx_v1beta1_pb2 import Tx as TxMessage
from akash_sandbox.chain.handlers.dispatch import Done
from akash_sandbox.chain.tx import Tx
from akash_sandbox.market.events import Event

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A transaction in a block. ``time`` in Unix seconds; ``body`` as REST shows it."""

    hash: str
    height: int
    time: float
    senders: tuple[str, ...]
    body: Json


def executed(tx: Tx, *, height: int, time: float, used: int) -> Json:
    """Return what every answer about a transaction in a block begins with."""
    return {
        **refusal(tx.hash),
        "height": str(height),
        "gas_wanted": str(tx.gas),
        "gas_used": str(used),
        "tx": {"@type": "/cosmos.tx.v1beta1.Tx", **rendered(tx)},
        "timestamp": datetime.fromtimestamp(int(time), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def refusal(hash_: str, codespace: str = "", code: int = 0, log: str = "") -> Json:
    """Return the answer to a broadcast."""
    return {
        "height": "0",
        "txhash": hash_,
        "codespace": codespace,
        "code": code,
        "data": "",
        "raw_log": log,
        "logs": [],
        "info": "",
        "gas_wanted": "0",
        "gas_used": "0",
        "tx": None,
        "timestamp": "",
        "events": [],
    }


def rendered(tx: Tx) -> Json:
    """Return a transaction as JSON."""
    whole = TxMessage(
        body=tx.decoded.body, auth_info=tx.decoded.auth_info, signatures=tx.decoded.signatures
    )
    return render(whole)


def events(told: Sequence[Event], *, index: bool) -> list[Json]:
    return [
        {
            "type": event.type,
            "attributes": [{"key": k, "value": v, "index": index} for k, v in event.attributes],
        }
        for event in told
    ]


def senders(told: Sequence[Event]) -> tuple[str, ...]:
    """Return who is a sender by the events, for the search."""
    found = [v for e in told if e.type == "message" for k, v in e.attributes if k == "sender"]
    return tuple(dict.fromkeys(found))


def data(done: Sequence[Done]) -> bytes:
    """Return TxMsgData, what the messages gave back."""
    return b"".join(_field(2, _response(each)) for each in done)


def responses(done: Sequence[Done]) -> list[Json]:
    """Return what the messages gave back as JSON."""
    return [{"@type": f"{each.message}Response", **_shown(each)} for each in done]


def _shown(done: Done) -> Json:
    if done.ledger is not None:
        record = done.ledger
        id_ = {
            "denom": record.denom,
            "to_denom": record.to_denom,
            "source": record.source,
            "height": str(record.height),
            "sequence": str(record.sequence),
        }
        return {"id": id_, "status": "ledger_record_status_invalid"}
    return {"results": [""] * done.inner} if done.inner else {}


def _response(done: Done) -> bytes:
    value = _field(1, b"") * done.inner
    if done.ledger is not None:
        record = done.ledger
        texts = (record.denom, record.to_denom, record.source)
        id_ = b"".join(_field(n, text.encode()) for n, text in enumerate(texts, 1))
        numbers = b"\x20" + _varint(record.height) + b"\x28" + _varint(record.sequence)
        value = _field(1, id_ + numbers)
    packed = Packed(type_url=f"{done.message}Response", value=value)
    return bytes(packed.SerializeToString(deterministic=True))


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
