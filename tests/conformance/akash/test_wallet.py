"""The wallet against public vectors: they may not be copied, so they are read where they are."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from akash_proto.schema.akash_deployment_v1beta4_pb2 import MsgCloseDeployment
from akash_proto.schema.cosmos_base_v1beta1_pb2 import Coin
from akash_proto.schema.cosmos_crypto_secp256k1_pb2 import PubKey
from akash_proto.schema.cosmos_tx_v1beta1_pb2 import AuthInfo, Fee, ModeInfo, SignerInfo, TxBody
from akash_proto.tx import raw_tx, sign_bytes, tx_hash
from akash_proto.wire import encode, pack
from garrison.adapters.akash.wallet.jwt import BACKDATE, token
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner

OWNER = "akash1qufa3xzrf34qvwyejkhvnc4psf49fftaw0asmh"
JWT = Path(__file__).parents[4] / "shared/conformance/akash/jwt"

pytestmark = pytest.mark.skipif(
    not JWT.exists(), reason=f"{JWT} is not there: the vectors of the reference may not be copied"
)


@pytest.fixture(scope="module")
def signer() -> LocalSigner:
    return LocalSigner(PrivateKey.from_words((JWT / "mnemonic").read_text()))


def _case(name: str) -> dict[str, Any]:
    cases: list[dict[str, Any]] = json.loads((JWT / "cases_jwt.json.tmpl").read_text())
    return next(each for each in cases if each["description"] == name)


def test_the_words_give_the_references_account(signer: LocalSigner) -> None:
    assert signer.address == OWNER
    assert signer.public_key.hex() == (
        "03e1fde5cc17f56501ed53d87718df76c135b9a6401dceb53d198111a1eaf85f76"
    )


async def test_a_token_is_the_references_byte_for_byte(signer: LocalSigner) -> None:
    case = _case("sign valid/verify against static token string")
    claims = case["claims"]
    now = datetime.fromtimestamp(int(claims["iat"]), UTC) + BACKDATE
    until = datetime.fromtimestamp(int(claims["exp"]), UTC)
    made = await token(signer, claims["leases"], now=now, lifetime=until - now)
    assert made == case["tokenString"]


async def test_a_transaction_has_the_references_signature_and_hash(signer: LocalSigner) -> None:
    close = MsgCloseDeployment()
    close.id.owner, close.id.dseq = OWNER, 1234567
    body = encode(TxBody(messages=[pack(close)]))
    info = SignerInfo(
        public_key=pack(PubKey(key=signer.public_key)),
        mode_info=ModeInfo(single=ModeInfo.Single(mode="SIGN_MODE_DIRECT")),
        sequence=3,
    )
    fee = Fee(amount=[Coin(denom="uakt", amount="5000")], gas_limit=200_000)
    auth = encode(AuthInfo(signer_infos=[info], fee=fee))
    signature = await signer.sign(sign_bytes(body, auth, "akashnet-2", 7))
    assert base64.b64encode(signature).decode() == (
        "LZyPrwOGkq/PRk8XYFyaClyLWIuKHkj2wkO0aWKgEasKs4CkNsFOB+PlYA4lRDLqpBVkySxdC6D17dP6lF+5zw=="
    )
    assert tx_hash(raw_tx(body, auth, [signature])) == (
        "ABEEE2CB0719D3F5F56B8E1ED4E028F2703C1F465931D5BA0BE3B37F3681FB13"
    )
