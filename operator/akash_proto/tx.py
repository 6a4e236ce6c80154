"""Transactions: what is signed, what is sent, how one is named (SIGN_MODE_DIRECT)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import Message

from akash_proto.schema.cosmos_tx_v1beta1_pb2 import AuthInfo, SignDoc, TxBody, TxRaw
from akash_proto.wire import decode, encode, unpack


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedTx:
    """A transaction taken apart. ``body`` and ``auth_info`` are also there as they were signed."""

    body: TxBody
    auth_info: AuthInfo
    messages: tuple[Message, ...]
    signatures: tuple[bytes, ...]
    body_bytes: bytes
    auth_info_bytes: bytes

    def sign_bytes(self, chain_id: str, account_number: int) -> bytes:
        """Return the bytes that its signer signs."""
        return sign_bytes(self.body_bytes, self.auth_info_bytes, chain_id, account_number)


def sign_bytes(body: bytes, auth_info: bytes, chain_id: str, account_number: int) -> bytes:
    """Return the bytes to sign: the signature is made over their SHA-256."""
    return encode(
        SignDoc(
            body_bytes=body,
            auth_info_bytes=auth_info,
            chain_id=chain_id,
            account_number=account_number,
        )
    )


def raw_tx(body: bytes, auth_info: bytes, signatures: Sequence[bytes]) -> bytes:
    """Return a transaction as it is broadcast."""
    return encode(TxRaw(body_bytes=body, auth_info_bytes=auth_info, signatures=signatures))


def tx_hash(raw: bytes) -> str:
    """Return the name of a transaction: SHA-256 in capital hex."""
    return hashlib.sha256(raw).hexdigest().upper()


def decode_tx(raw: bytes) -> DecodedTx:
    """Return a broadcast transaction taken apart. Raises what ``wire.decode`` raises."""
    outer = decode(TxRaw, raw)
    body = decode(TxBody, outer.body_bytes)
    return DecodedTx(
        body=body,
        auth_info=decode(AuthInfo, outer.auth_info_bytes),
        messages=tuple(unpack(each) for each in body.messages),
        signatures=tuple(outer.signatures),
        body_bytes=outer.body_bytes,
        auth_info_bytes=outer.auth_info_bytes,
    )
