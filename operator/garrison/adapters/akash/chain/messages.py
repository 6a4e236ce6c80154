"""From an order to the chain's messages."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.message import Message

from akash_proto import decimals
from akash_proto.schema.akash_base_deposit_v1_pb2 import Deposit, Source
from akash_proto.schema.akash_deployment_v1_pb2 import DeploymentID
from akash_proto.schema.akash_deployment_v1beta4_pb2 import (
    MsgCloseDeployment,
    MsgCreateDeployment,
)
from akash_proto.schema.akash_escrow_id_v1_pb2 import Account as EscrowAccount
from akash_proto.schema.akash_escrow_v1_pb2 import MsgAccountDeposit
from akash_proto.schema.akash_market_v1_pb2 import BidID
from akash_proto.schema.akash_market_v1beta5_pb2 import MsgCreateLease
from akash_proto.schema.cosmos_base_v1beta1_pb2 import Coin
from garrison.adapters.akash.chain.groups import group_spec
from garrison.adapters.akash.orders import compiled
from garrison.adapters.akash.pricing import DENOM, per_block
from garrison.ports.market import Bid, Order


def create(
    order: Order, *, owner: str, dseq: int, blocks: int, deposit: int, sources: Sequence[Source]
) -> Message:
    """Return the message that posts an order. ``blocks`` per hour, ``deposit`` in uact.

    Raises InvalidSpecError when the order's price or GPU is unusable.
    """
    made = compiled(order)
    groups = [group_spec(each) for each in made.groups]
    price = decimals.to_wire(per_block(order.max_price_per_hour, blocks))
    for unit in (unit for group in groups for unit in group.resources):
        unit.price.amount = price
    return MsgCreateDeployment(
        id=DeploymentID(owner=owner, dseq=dseq),
        groups=groups,
        hash=bytes.fromhex(made.version),
        deposit=_deposit(deposit, sources),
    )


def lease(bid: Bid, *, owner: str) -> Message:
    """Return the message that takes a bid."""
    return MsgCreateLease(
        bid_id=BidID(
            owner=owner,
            dseq=int(bid.deployment),
            gseq=bid.gseq,
            oseq=bid.oseq,
            provider=bid.provider,
        )
    )


def close(*, owner: str, dseq: int) -> Message:
    """Return the message that closes a deployment."""
    return MsgCloseDeployment(id=DeploymentID(owner=owner, dseq=dseq))


def top_up(
    *, signer: str, owner: str, dseq: int, amount: int, sources: Sequence[Source]
) -> Message:
    """Return the message that adds to a deployment's escrow, ``amount`` in uact."""
    account = EscrowAccount(scope=EscrowAccount.deployment, xid=f"{owner}/{dseq}")
    return MsgAccountDeposit(signer=signer, id=account, deposit=_deposit(amount, sources))


def _deposit(amount: int, sources: Sequence[Source]) -> Deposit:
    return Deposit(amount=Coin(denom=DENOM, amount=str(amount)), sources=sources)
