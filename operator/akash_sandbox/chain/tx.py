"""A transaction as it comes in."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import Message

from akash_proto.errors import DecodeError, UnknownFieldError, UnknownTypeError
from akash_proto.schema.cosmos_crypto_secp256k1_pb2 import PubKey
from akash_proto.schema.cosmos_tx_v1beta1_pb2 import TxBody, TxRaw
from akash_proto.tx import DecodedTx, decode_tx, tx_hash
from akash_proto.wire import decode, unpack
from akash_sandbox.chain import signers
from akash_sandbox.chain.refused import parse_error, sdk

_NANO = 1_000_000_000
_WIRE_TYPES = {0: "varint", 1: "fixed64", 2: "bytes", 5: "fixed32"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tx:
    """A transaction that can be read; nothing of it is believed yet."""

    raw: bytes
    hash: str
    decoded: DecodedTx
    signer: str
    key: bytes
    sequence: int

    @property
    def messages(self) -> tuple[Message, ...]:
        return self.decoded.messages

    @property
    def is_unordered(self) -> bool:
        return self.decoded.body.unordered

    @property
    def timeout(self) -> float:
        """When it expires, in Unix seconds, 0 for never."""
        stamp = self.decoded.body.timeout_timestamp
        return stamp.seconds + stamp.nanos / _NANO

    @property
    def gas(self) -> int:
        return int(self.decoded.auth_info.fee.gas_limit)

    @property
    def fee(self) -> dict[str, int]:
        """What it offers, by denomination."""
        return {c.denom: int(c.amount) for c in self.decoded.auth_info.fee.amount}

    @property
    def payer(self) -> str:
        """Who pays the fee."""
        fee = self.decoded.auth_info.fee
        return str(fee.granter or fee.payer or self.signer)


def read(raw: bytes) -> Tx:
    """Return a transaction; raises TxError for bytes that are none."""
    try:
        decoded = decode_tx(raw)
    except UnknownFieldError as error:
        raise parse_error(_go_types(str(error))) from error
    except UnknownTypeError as error:
        raise parse_error(str(error)) from error
    except DecodeError as error:
        raise parse_error(_unknown_field(raw) or str(error)) from error
    if not decoded.messages:
        raise sdk(18, "must contain at least one message: invalid request")
    infos = decoded.auth_info.signer_infos
    if len(infos) != 1:
        raise sdk(4, "one signer per transaction here: unauthorized")
    return Tx(
        raw=raw,
        hash=tx_hash(raw),
        decoded=decoded,
        signer=signers.signer(decoded.messages[0]),
        key=_key(decoded),
        sequence=int(infos[0].sequence),
    )


def _key(decoded: DecodedTx) -> bytes:
    info = decoded.auth_info.signer_infos[0]
    if not info.HasField("public_key"):
        return b""
    found = unpack(info.public_key)
    return bytes(found.key) if isinstance(found, PubKey) else b""


def _unknown_field(raw: bytes) -> str:
    """Return what a node says of a body that begins with a field it does not know, else "".

    It looks at the fields before their contents.
    """
    try:
        body = decode(TxRaw, raw).body_bytes
    except DecodeError:
        return ""
    number, kind = (body[0] >> 3, _WIRE_TYPES.get(body[0] & 7)) if body else (0, None)
    if kind is None or number in TxBody.DESCRIPTOR.fields_by_number:
        return ""
    return f'errUnknownField "*tx.TxBody": {{TagNum: {number}, WireType:"{kind}"}}'


def _go_types(text: str) -> str:
    """Return a refusal with a message's type as Go prints it: "*tx.TxBody"."""
    before, _, rest = text.partition('"')
    name, _, after = rest.partition('"')
    parts = name.lstrip("/").split(".")
    package = parts[-3] if len(parts) > 2 and parts[-2].startswith("v1") else parts[-2]
    return f'{before}"*{package}.{parts[-1]}"{after}'
