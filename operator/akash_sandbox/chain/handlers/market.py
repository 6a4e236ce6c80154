"""akash.market.v1beta5."""

from __future__ import annotations

from google.protobuf.message import Message

from akash_proto.rest import render
from akash_proto.schema.akash_market_v1beta5_pb2 import (
    MsgCloseBid,
    MsgCloseLease,
    MsgCreateBid,
    MsgCreateLease,
    MsgLeaseStartReclaim,
    MsgWithdrawLease,
)
from akash_sandbox.chain.handlers.context import Context, key, seconds, sources
from akash_sandbox.market.lease import PROVIDER_REASONS, CloseReason
from akash_sandbox.market.provider_side import Coins


def handle(context: Context, message: Message) -> bool:
    """Execute a message; return whether it is one of these. Raises RefusalError."""
    state, now = context.state, context.now
    match message:
        case MsgCreateBid():
            _bid(context, message)
        case MsgCreateLease():
            state.tenant.lease(now, key(message.bid_id))
        case MsgCloseLease():
            state.tenant.close_lease(now, key(message.id))
        case MsgCloseBid():
            state.providing.close_bid(now, key(message.id), _reason(message.reason))
        case MsgLeaseStartReclaim():
            state.providing.give_notice(now, key(message.id), _reason(message.reason))
        case MsgWithdrawLease():
            state.providing.withdraw(now, key(message.id))
        case _:
            return False
    return True


def _bid(context: Context, message: MsgCreateBid) -> None:
    amount = message.deposit.amount
    window = message.reclamation_window if message.HasField("reclamation_window") else None
    context.state.providing.bid(
        context.now,
        key(message.id),
        price=int(message.price.amount or 0),
        denom=message.price.denom,
        deposit=Coins(
            amount=int(amount.amount or 0), denom=amount.denom, sources=sources(message.deposit)
        ),
        offer=[render(each) for each in message.resources_offer],
        window=None if window is None else seconds(window),
    )


def _reason(number: int) -> CloseReason:
    return PROVIDER_REASONS.get(number, CloseReason.UNSPECIFIED)
