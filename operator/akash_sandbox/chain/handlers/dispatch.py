"""One message after the other."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import Message

from akash_proto.registry import type_url
from akash_proto.schema.cosmos_authz_v1beta1_pb2 import MsgExec
from akash_proto.wire import unpack
from akash_sandbox.chain import signers
from akash_sandbox.chain.bme import LedgerRecord
from akash_sandbox.chain.handlers import deployment, market, money, records
from akash_sandbox.chain.handlers.context import Context
from akash_sandbox.chain.refused import TxError, sdk

_HANDLERS = (deployment.handle, market.handle, records.handle, money.handle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a message gave back: ``ledger`` for an exchange, ``inner`` messages for MsgExec."""

    message: str
    ledger: LedgerRecord | None = None
    inner: int = 0


def execute(context: Context, message: Message) -> Done:
    """Change the state as a message wants it; raises RefusalError."""
    url = type_url(message)
    if isinstance(message, MsgExec):
        return _exec(context, message)
    ledger = money.exchange(context, message)
    if ledger is not None:
        return Done(message=url, ledger=ledger)
    if not any(handle(context, message) for handle in _HANDLERS):
        raise sdk(6, f"unrecognized message route: {url}: unknown request")
    return Done(message=url)


def _exec(context: Context, message: MsgExec) -> Done:
    for inner in map(unpack, message.msgs):
        granter, url = signers.signer(inner), type_url(inner)
        if granter != message.grantee:
            grant = context.state.book.grants.find(granter, message.grantee, url)
            if grant is None:
                text = (
                    f"failed to get grant with given granter: {granter}, grantee: "
                    f"{message.grantee} & msgType: {url} : authorization not found"
                )
                raise TxError(text, codespace="authz", code=2)
            if grant.expires is not None and grant.expires <= context.now:
                raise TxError("authorization expired", codespace="authz", code=6)
        execute(context, inner)
    return Done(message=type_url(message), inner=len(message.msgs))
