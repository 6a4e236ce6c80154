"""Transactions that the Console signs for the account behind an API key."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.any_pb2 import Any as Packed

from akash_proto.schema.cosmos_base_v1beta1_pb2 import Coin
from akash_proto.schema.cosmos_crypto_secp256k1_pb2 import PubKey
from akash_proto.schema.cosmos_tx_signing_v1beta1_pb2 import SIGN_MODE_DIRECT
from akash_proto.schema.cosmos_tx_v1beta1_pb2 import AuthInfo, Fee, ModeInfo, SignerInfo, TxBody
from akash_proto.tx import raw_tx, sign_bytes
from akash_proto.wire import encode, pack
from akash_sandbox.account import AccountKey
from akash_sandbox.chain.ante import GAS_PRICE_MILLI

TYPES = frozenset(
    (
        "/akash.deployment.v1beta4.MsgCreateDeployment",
        "/akash.cert.v1.MsgCreateCertificate",
        "/akash.market.v1beta5.MsgCreateLease",
        "/akash.deployment.v1beta4.MsgUpdateDeployment",
        "/akash.deployment.v1beta4.MsgCloseDeployment",
        "/akash.escrow.v1.MsgAccountDeposit",
    )
)
"""What the Console signs."""
_GAS = 2_000_000
FEE = _GAS * GAS_PRICE_MILLI // 1000
"""What one transaction pays, in uakt."""
TTL_SECONDS = 60
_NANO = 1_000_000_000


def signed(
    account: AccountKey,
    messages: Sequence[tuple[str, bytes]],
    *,
    chain_id: str,
    number: int,
    now: float,
) -> bytes:
    """Return an unordered transaction of messages given by type URL and bytes."""
    until = int((now + TTL_SECONDS) * _NANO)
    body = TxBody(
        messages=[Packed(type_url=url, value=value) for url, value in messages], unordered=True
    )
    body.timeout_timestamp.seconds, body.timeout_timestamp.nanos = divmod(until, _NANO)
    signer = SignerInfo(
        public_key=pack(PubKey(key=account.point)),
        mode_info=ModeInfo(single=ModeInfo.Single(mode=SIGN_MODE_DIRECT)),
    )
    fee = Coin(denom="uakt", amount=str(FEE))
    auth = AuthInfo(signer_infos=[signer], fee=Fee(amount=[fee], gas_limit=_GAS))
    body_bytes, auth_bytes = encode(body), encode(auth)
    signature = account.sign(sign_bytes(body_bytes, auth_bytes, chain_id, number))
    return raw_tx(body_bytes, auth_bytes, [signature])
