"""Transactions: put together, signed, named.

They are unordered: replay is stopped by a timeout instead of a sequence number, so that nothing has to
be sent in turn. Until the timeout a transaction may still land; after it, it cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from akash_proto.schema.cosmos_base_v1beta1_pb2 import Coin
from akash_proto.schema.cosmos_crypto_secp256k1_pb2 import PubKey
from akash_proto.schema.cosmos_tx_signing_v1beta1_pb2 import SIGN_MODE_DIRECT
from akash_proto.schema.cosmos_tx_v1beta1_pb2 import AuthInfo, Fee, ModeInfo, SignerInfo, TxBody
from akash_proto.tx import raw_tx, sign_bytes, tx_hash
from akash_proto.wire import encode, pack
from garrison.adapters.akash.chain.terms import GasPrice
from garrison.adapters.akash.wallet.signer import Signer

TIMEOUT = timedelta(seconds=60)
"""The chain takes at most ten minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTx:
    """``expires_at``: a block at or after it does not take the transaction any more."""

    raw: bytes
    hash: str
    gas: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What a transaction is signed with."""

    chain_id: str
    account_number: int
    gas_price: GasPrice
    fee_granter: str = ""


def unsigned(signer: Signer, messages: Sequence[Message], *, expires_at: datetime) -> bytes:
    """Return a transaction for simulation: its body as it will be, no fee, no signature."""
    auth = _auth(signer, Fee())
    return raw_tx(_body(messages, expires_at), auth, [b""])


async def signed(
    signer: Signer, messages: Sequence[Message], *, sheet: Sheet, gas: int, expires_at: datetime
) -> SignedTx:
    """Return a signed transaction. Raises what the signer raises."""
    price = sheet.gas_price
    coin = Coin(denom=price.denom, amount=str(price.fee(gas)))
    fee = Fee(amount=[coin], gas_limit=gas, granter=sheet.fee_granter)
    body, auth = _body(messages, expires_at), _auth(signer, fee)
    text = sign_bytes(body, auth, sheet.chain_id, sheet.account_number)
    raw = raw_tx(body, auth, [await signer.sign(text)])
    return SignedTx(raw=raw, hash=tx_hash(raw), gas=gas, expires_at=expires_at)


def _body(messages: Sequence[Message], expires_at: datetime) -> bytes:
    timeout = Timestamp()
    timeout.FromDatetime(expires_at)
    packed = [pack(each) for each in messages]
    return encode(TxBody(messages=packed, unordered=True, timeout_timestamp=timeout))


def _auth(signer: Signer, fee: Fee) -> bytes:
    info = SignerInfo(
        public_key=pack(PubKey(key=signer.public_key)),
        mode_info=ModeInfo(single=ModeInfo.Single(mode=SIGN_MODE_DIRECT)),
    )
    return encode(AuthInfo(signer_infos=[info], fee=fee))
