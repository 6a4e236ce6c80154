"""akash.deployment.v1beta4 and akash.escrow.v1."""

from __future__ import annotations

from google.protobuf.message import Message

from akash_proto.rest import render
from akash_proto.schema.akash_deployment_v1beta4_pb2 import (
    MsgCloseDeployment,
    MsgCloseGroup,
    MsgCreateDeployment,
    MsgPauseGroup,
    MsgStartGroup,
    MsgUpdateDeployment,
)
from akash_proto.schema.akash_escrow_v1_pb2 import MsgAccountDeposit
from akash_sandbox.chain.handlers.context import Context, seconds, sources
from akash_sandbox.market import refusal


def handle(context: Context, message: Message) -> bool:
    """Execute a message; return whether it is one of these. Raises RefusalError."""
    tenant, now = context.state.tenant, context.now
    match message:
        case MsgCreateDeployment():
            _create(context, message)
        case MsgUpdateDeployment():
            tenant.update(message.id.owner, str(message.id.dseq), message.hash.hex())
        case MsgCloseDeployment():
            tenant.close(now, message.id.owner, str(message.id.dseq))
        case MsgCloseGroup():
            tenant.close_group(now, message.id.owner, str(message.id.dseq), message.id.gseq)
        case MsgPauseGroup():
            tenant.pause_group(now, message.id.owner, str(message.id.dseq), message.id.gseq)
        case MsgStartGroup():
            tenant.start_group(now, message.id.owner, str(message.id.dseq), message.id.gseq)
        case MsgAccountDeposit():
            _deposit(context, message)
        case _:
            return False
    return True


def _create(context: Context, message: MsgCreateDeployment) -> None:
    amount = message.deposit.amount
    window = seconds(message.reclamation.min_window) if message.HasField("reclamation") else None
    context.state.tenant.create(
        context.now,
        message.id.owner,
        dseq=str(message.id.dseq),
        groups=[render(group) for group in message.groups],
        manifest_hash=message.hash.hex(),
        deposit=int(amount.amount or 0),
        denom=amount.denom,
        sources=sources(message.deposit),
        reclamation=window,
    )


def _deposit(context: Context, message: MsgAccountDeposit) -> None:
    owner, _, dseq = message.id.xid.partition("/")
    if message.id.scope != 1:
        raise refusal.account_not_found()
    amount = message.deposit.amount
    context.state.tenant.deposit(
        context.now,
        owner,
        dseq,
        int(amount.amount or 0),
        denom=amount.denom,
        sources=sources(message.deposit),
        signer=message.signer,
    )
