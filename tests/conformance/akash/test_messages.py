"""Our messages against the reference library's bytes, and against transactions of a real chain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from akash_proto.rest import parse, render
from akash_proto.schema.akash_base_deposit_v1_pb2 import balance
from akash_proto.schema.akash_deployment_v1beta4_pb2 import MsgCloseDeployment, MsgCreateDeployment
from akash_proto.schema.akash_escrow_v1_pb2 import MsgAccountDeposit
from akash_proto.schema.akash_market_v1beta5_pb2 import MsgCreateLease
from akash_proto.schema.cosmos_crypto_secp256k1_pb2 import PubKey
from akash_proto.schema.cosmos_tx_v1beta1_pb2 import Tx
from akash_proto.tx import decode_tx, raw_tx, tx_hash
from akash_proto.wire import decode, encode, unpack
from garrison.adapters.akash.chain.groups import group_spec
from tests.conformance.akash.recordings import body, names

OWNER = "akash1qufa3xzrf34qvwyejkhvnc4psf49fftaw0asmh"
VECTORS = Path(__file__).parent / "vectors"
GROUPS = sorted(path.parent.name for path in VECTORS.glob("*/msg_create_deployment.hex"))
CHAIN_ID = "local"


@pytest.mark.parametrize("name", GROUPS)
def test_a_create_has_the_reference_librarys_bytes(name: str) -> None:
    folder = VECTORS / name
    message = MsgCreateDeployment(groups=map(group_spec, _groups(name)))
    message.id.owner, message.id.dseq = OWNER, 1234567
    message.deposit.amount.denom, message.deposit.amount.amount = "uact", "500000"
    message.deposit.sources.append(balance)
    if "reclamation" in name:
        message.reclamation.min_window.seconds = 86400
    message.hash = bytes.fromhex((folder / "version.txt").read_text())
    expected = (folder / "msg_create_deployment.hex").read_text().strip()
    assert encode(message).hex() == expected
    assert decode(MsgCreateDeployment, bytes.fromhex(expected)) == message


def test_the_small_messages_have_the_references_bytes() -> None:
    close = MsgCloseDeployment()
    close.id.owner, close.id.dseq = OWNER, 1234567
    assert encode(close).hex() == (
        "0a320a2c616b617368317175666133787a7266333471767779656a6b68766e6334"
        "707366343966667461773061736d681087ad4b"
    )
    lease = MsgCreateLease()
    lease.bid_id.owner, lease.bid_id.dseq = OWNER, 1234567
    lease.bid_id.gseq = lease.bid_id.oseq = 1
    lease.bid_id.provider = "akash1q7spv2cw06yszgfp4f9ed59lkka6ytn8g4tkjf"
    assert encode(lease).hex() == (
        "0a640a2c616b617368317175666133787a7266333471767779656a6b68766e633470736634396666746177306173"
        "6d681087ad4b180120012a2c616b617368317137737076326377303679737a676670346639656435396c6b6b613679"
        "746e386734746b6a66"
    )


def test_sources_are_read_packed_and_unpacked() -> None:
    """Go and Python pack them, the TypeScript library does not."""
    unpacked = (
        "0a2c616b617368317175666133787a7266333471767779656a6b68766e6334707366343966667461773061736d68"
        "123808011234616b617368317175666133787a7266333471767779656a6b68766e63347073663439666674617730"
        "61736d682f313233343536371a130a0f0a04756163741207313030303030302801"
    )
    message = decode(MsgAccountDeposit, bytes.fromhex(unpacked))
    assert render(message)["deposit"]["sources"] == ["balance"]
    assert encode(message).hex() == unpacked.removesuffix(
        "130a0f0a04756163741207313030303030302801"
    ) + ("140a0f0a04756163741207313030303030302a0101")


@pytest.mark.parametrize("name", names(".tx"))
def test_a_recorded_transaction_comes_out_the_same(name: str) -> None:
    """JSON to bytes gives the hash that the chain gave it, the bytes give the chain's JSON."""
    recorded = body(name)
    tx = parse(Tx, recorded["tx"])
    raw = raw_tx(encode(tx.body), encode(tx.auth_info), tx.signatures)
    assert tx_hash(raw) == recorded["tx_response"]["txhash"]
    read = decode_tx(raw)
    assert (
        render(Tx(body=read.body, auth_info=read.auth_info, signatures=read.signatures))
        == (recorded["tx"])
    )


def test_the_signature_of_a_recorded_transaction_is_over_our_sign_bytes() -> None:
    number = int(body("q-account-tenant-used")["account"]["account_number"])
    recorded = body("create-deployment.tx")["tx"]
    tx = parse(Tx, recorded)
    read = decode_tx(raw_tx(encode(tx.body), encode(tx.auth_info), tx.signatures))
    key = unpack(read.auth_info.signer_infos[0].public_key)
    assert isinstance(key, PubKey)
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), key.key)
    r, s = (int.from_bytes(read.signatures[0][at : at + 32], "big") for at in (0, 32))
    public.verify(
        encode_dss_signature(r, s),
        read.sign_bytes(CHAIN_ID, number),
        ec.ECDSA(hashes.SHA256()),
    )


def _groups(name: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = json.loads((VECTORS / name / "groups.json").read_text())
    return groups
