"""What is wrong with a message whatever the chain's state is: refused before it gets into a block."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import Message

from akash_proto.schema.akash_base_deposit_v1_pb2 import Deposit
from akash_proto.schema.akash_deployment_v1beta4_pb2 import (
    MsgCreateDeployment,
    MsgUpdateDeployment,
)
from akash_proto.schema.akash_escrow_v1_pb2 import DepositAuthorization, MsgAccountDeposit
from akash_proto.schema.akash_market_v1beta5_pb2 import (
    MsgCloseBid,
    MsgCreateBid,
    MsgLeaseStartReclaim,
)
from akash_proto.schema.cosmos_authz_v1beta1_pb2 import MsgExec, MsgGrant
from akash_proto.wire import unpack
from akash_sandbox.chain.accounts import payload
from akash_sandbox.chain.refused import TxError, sdk
from akash_sandbox.chain.signers import signer
from akash_sandbox.market import refusal

_HASH = 32
_DUPLICATES = 1


def check(message: Message) -> None:
    """Raise RefusalError for a message that can never be executed."""
    match message:
        case MsgCreateDeployment():
            _create(message)
        case MsgUpdateDeployment():
            _hash(message.hash)
        case MsgAccountDeposit():
            _sources(message.deposit)
        case MsgCreateBid():
            _sources(message.deposit)
        case MsgCloseBid() | MsgLeaseStartReclaim():
            if not 10_000 <= message.reason < 20_000:
                raise refusal.bad_reason(message.reason)
        case MsgGrant():
            _grant(message)
        case MsgExec():
            for inner in message.msgs:
                check(unpack(inner))
        case _:
            pass
    _address(signer(message))


def _create(message: MsgCreateDeployment) -> None:
    if not message.id.dseq:
        raise sdk(3, "DeploymentID: Invalid Deployment Sequence: invalid sequence")
    if not message.groups:
        raise TxError("Invalid groups", codespace="deployment", code=7)
    _hash(message.hash)
    _sources(message.deposit)
    paid = message.deposit.amount.denom
    for denom in _denoms(message):
        if denom != paid:
            raise refusal.wrong_denom(denom, paid)


def _denoms(message: MsgCreateDeployment) -> Iterator[str]:
    for group in message.groups:
        for unit in group.resources:
            yield unit.price.denom


def _hash(value: bytes) -> None:
    if not value:
        raise TxError("Invalid: empty hash", codespace="deployment", code=9)
    if len(value) != _HASH:
        raise TxError("Invalid: deployment hash", codespace="deployment", code=10)


def _sources(deposit: Deposit) -> None:
    if not deposit.sources:
        text = "empty deposit sources: invalid deposit source"
        raise TxError(text, codespace="akash", code=4)
    if any(list(deposit.sources).count(each) > _DUPLICATES for each in deposit.sources):
        text = "duplicate deposit source: invalid deposit source"
        raise TxError(text, codespace="akash", code=4)


def _grant(message: MsgGrant) -> None:
    granted = unpack(message.grant.authorization)
    if not isinstance(granted, DepositAuthorization):
        return
    if not granted.spend_limit.denom:
        raise sdk(18, "spend limit is not valid: invalid request")
    if granted.spend_limit.amount not in ("", "0"):
        raise sdk(18, "spend limit is deprecated and must be zero: invalid request")


def _address(address: str) -> None:
    if payload(address) is None:
        raise sdk(7, f"decoding bech32 failed: {address[:100]!r}: invalid address")
