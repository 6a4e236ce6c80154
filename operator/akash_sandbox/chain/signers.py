"""Who has to sign a message, and how its module is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

_SIGNERS: Mapping[str, str] = {
    "akash.audit.v1": "auditor",
    "akash.bme.v1": "owner",
    "akash.cert.v1.MsgCreateCertificate": "owner",
    "akash.cert.v1": "id.owner",
    "akash.deployment.v1beta4": "id.owner",
    "akash.escrow.v1": "signer",
    "akash.market.v1beta5.MsgCreateLease": "bid_id.owner",
    "akash.market.v1beta5.MsgCloseLease": "id.owner",
    "akash.market.v1beta5": "id.provider",
    "akash.oracle.v2": "signer",
    "akash.provider.v1beta4": "owner",
    "cosmos.authz.v1beta1.MsgExec": "grantee",
    "cosmos.authz.v1beta1": "granter",
    "cosmos.bank.v1beta1": "from_address",
    "cosmos.feegrant.v1beta1": "granter",
}


def signer(message: Message) -> str:
    """Return the address that has to sign a message."""
    name = message.DESCRIPTOR.full_name
    path = _SIGNERS.get(name) or _SIGNERS[name.rpartition(".")[0]]
    found: Any = message
    for part in path.split("."):
        found = getattr(found, part)
    return str(found)


def module(message: Message) -> str:
    """Return the module of a message, as the events name it."""
    return message.DESCRIPTOR.full_name.split(".")[1]
