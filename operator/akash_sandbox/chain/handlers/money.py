"""cosmos.bank, authz and feegrant, akash.bme.v1 and akash.oracle.v2."""

from __future__ import annotations

from google.protobuf.message import Message

from akash_proto.schema.akash_bme_v1_pb2 import MsgBurnACT, MsgBurnMint, MsgMintACT
from akash_proto.schema.akash_escrow_v1_pb2 import DepositAuthorization
from akash_proto.schema.akash_oracle_v2_pb2 import MsgAddPriceEntry
from akash_proto.schema.cosmos_authz_v1beta1_pb2 import GenericAuthorization, MsgGrant, MsgRevoke
from akash_proto.schema.cosmos_bank_v1beta1_pb2 import MsgSend
from akash_proto.schema.cosmos_feegrant_v1beta1_pb2 import (
    AllowedMsgAllowance,
    BasicAllowance,
    MsgGrantAllowance,
    MsgRevokeAllowance,
)
from akash_proto.wire import unpack
from akash_sandbox.chain.bme import LedgerRecord, Price
from akash_sandbox.chain.handlers.context import Context
from akash_sandbox.chain.refused import TxError, sdk
from akash_sandbox.market.bank import UACT, InsufficientError
from akash_sandbox.market.decimals import text as decimal
from akash_sandbox.market.grants import DEPOSIT_MESSAGE, FeeAllowance, Grant

_SCOPES = {1: "deployment", 2: "bid"}


def handle(context: Context, message: Message) -> bool:
    """Execute a message; return whether it is one of these. Raises RefusalError."""
    match message:
        case MsgSend():
            _send(context, message)
        case MsgGrant():
            _grant(context, message)
        case MsgRevoke():
            _revoke(context, message)
        case MsgGrantAllowance():
            _grant_fee(context, message)
        case MsgRevokeAllowance():
            _revoke_fee(context, message)
        case MsgAddPriceEntry():
            _price(context, message)
        case _:
            return False
    return True


def exchange(context: Context, message: Message) -> LedgerRecord | None:
    """Execute a message of the BME, None when it is not one; raises RefusalError."""
    if not isinstance(message, (MsgMintACT, MsgBurnACT, MsgBurnMint)):
        return None
    coin = message.coins_to_burn
    expected = {"MsgMintACT": "uakt", "MsgBurnACT": UACT}.get(message.DESCRIPTOR.name, coin.denom)
    if coin.denom != expected or coin.denom not in ("uakt", UACT):
        raise sdk(10, f"invalid coins: {coin.denom}")
    try:
        return context.state.bme.ask(
            source=message.owner,
            to=message.to or message.owner,
            denom=coin.denom,
            amount=int(coin.amount or 0),
            height=context.height,
        )
    except InsufficientError as error:
        raise sdk(5, f"{error}: insufficient funds") from error


def _send(context: Context, message: MsgSend) -> None:
    for coin in message.amount:
        if coin.denom == UACT:
            text = f"{UACT} transfers are currently disabled: send transactions are disabled"
            raise TxError(text, codespace="bank", code=5)
    context.state.accounts.opened(message.to_address)
    for coin in message.amount:
        try:
            context.state.book.bank.send(
                message.from_address, message.to_address, coin.denom, int(coin.amount)
            )
        except InsufficientError as error:
            raise sdk(5, f"{error}: insufficient funds") from error


def _grant(context: Context, message: MsgGrant) -> None:
    granted = unpack(message.grant.authorization)
    until = message.grant.expiration
    expires = until.seconds if message.grant.HasField("expiration") else None
    match granted:
        case DepositAuthorization():
            url = DEPOSIT_MESSAGE
            grant = Grant(
                granter=message.granter,
                grantee=message.grantee,
                message=url,
                expires=expires,
                limits=tuple((c.denom, int(c.amount)) for c in granted.spend_limits),
                scopes=tuple(_SCOPES[s] for s in granted.scopes if s in _SCOPES),
                spend_limit=granted.spend_limit.denom,
            )
        case GenericAuthorization():
            url = granted.msg
            grant = Grant(
                granter=message.granter, grantee=message.grantee, message=url, expires=expires
            )
        case _:
            raise sdk(18, "authorization of this type is not served here: invalid request")
    context.state.book.grants.put(grant)
    context.state.book.events.typed(
        "cosmos.authz.v1beta1.EventGrant",
        grantee=message.grantee,
        granter=message.granter,
        msg_type_url=url,
    )


def _revoke(context: Context, message: MsgRevoke) -> None:
    grants = context.state.book.grants
    if not grants.revoke(message.granter, message.grantee, message.msg_type_url):
        text = "failed to delete grant with key: authorization not found"
        raise TxError(text, codespace="authz", code=2)
    context.state.book.events.typed(
        "cosmos.authz.v1beta1.EventRevoke",
        grantee=message.grantee,
        granter=message.granter,
        msg_type_url=message.msg_type_url,
    )


def _grant_fee(context: Context, message: MsgGrantAllowance) -> None:
    allowed = unpack(message.allowance)
    messages: tuple[str, ...] = ()
    if isinstance(allowed, AllowedMsgAllowance):
        messages = tuple(allowed.allowed_messages)
        allowed = unpack(allowed.allowance)
    if not isinstance(allowed, BasicAllowance):
        raise sdk(18, "allowance of this type is not served here: invalid request")
    grants = context.state.book.grants
    if grants.fee(message.granter, message.grantee) is not None:
        raise sdk(18, "fee allowance already exists: invalid request")
    limits = tuple((c.denom, int(c.amount)) for c in allowed.spend_limit)
    grants.put_fee(
        FeeAllowance(
            granter=message.granter,
            grantee=message.grantee,
            limits=limits or None,
            messages=messages,
            expires=allowed.expiration.seconds if allowed.HasField("expiration") else None,
        )
    )
    context.state.accounts.opened(message.grantee)
    context.state.book.events.tell(
        "set_feegrant", ("granter", message.granter), ("grantee", message.grantee)
    )


def _revoke_fee(context: Context, message: MsgRevokeAllowance) -> None:
    grants = context.state.book.grants
    if grants.fee(message.granter, message.grantee) is None:
        raise sdk(38, "fee-grant not found: not found")
    grants.drop_fee(message.granter, message.grantee)
    context.state.book.events.tell(
        "revoke_feegrant", ("granter", message.granter), ("grantee", message.grantee)
    )


def _price(context: Context, message: MsgAddPriceEntry) -> None:
    if message.id.denom not in ("akt", "uakt"):
        raise sdk(18, f"unsupported denom {message.id.denom}: invalid request")
    price = int(message.price or 0)
    context.state.bme.set_price(Price(value=price, at=context.now, source=message.signer))
    context.state.book.events.typed(
        "akash.oracle.v2.EventPriceData",
        id={"denom": message.id.denom, "base_denom": message.id.base_denom},
        price=decimal(price),
        source=message.signer,
        timestamp=message.timestamp.ToJsonString(),
    )
