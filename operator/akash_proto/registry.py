"""Messages that travel inside ``google.protobuf.Any``, by their type URL."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message

from akash_proto.errors import UnknownTypeError
from akash_proto.schema import (
    akash_audit_v1_pb2,
    akash_bme_v1_pb2,
    akash_cert_v1_pb2,
    akash_deployment_v1beta4_pb2,
    akash_escrow_v1_pb2,
    akash_market_v1beta5_pb2,
    akash_oracle_v2_pb2,
    akash_provider_v1beta4_pb2,
    cosmos_authz_v1beta1_pb2,
    cosmos_bank_v1beta1_pb2,
    cosmos_crypto_secp256k1_pb2,
    cosmos_feegrant_v1beta1_pb2,
)

M = TypeVar("M", bound=Message)

TYPES: dict[str, type[Message]] = {
    f"/{each.DESCRIPTOR.full_name}": each
    for each in (
        akash_audit_v1_pb2.MsgDeleteProviderAttributes,
        akash_audit_v1_pb2.MsgSignProviderAttributes,
        akash_bme_v1_pb2.MsgBurnACT,
        akash_bme_v1_pb2.MsgBurnMint,
        akash_bme_v1_pb2.MsgMintACT,
        akash_cert_v1_pb2.MsgCreateCertificate,
        akash_cert_v1_pb2.MsgRevokeCertificate,
        akash_deployment_v1beta4_pb2.MsgCloseDeployment,
        akash_deployment_v1beta4_pb2.MsgCloseGroup,
        akash_deployment_v1beta4_pb2.MsgCreateDeployment,
        akash_deployment_v1beta4_pb2.MsgPauseGroup,
        akash_deployment_v1beta4_pb2.MsgStartGroup,
        akash_deployment_v1beta4_pb2.MsgUpdateDeployment,
        akash_escrow_v1_pb2.DepositAuthorization,
        akash_escrow_v1_pb2.MsgAccountDeposit,
        akash_market_v1beta5_pb2.MsgCloseBid,
        akash_market_v1beta5_pb2.MsgCloseLease,
        akash_market_v1beta5_pb2.MsgCreateBid,
        akash_market_v1beta5_pb2.MsgCreateLease,
        akash_market_v1beta5_pb2.MsgLeaseStartReclaim,
        akash_market_v1beta5_pb2.MsgWithdrawLease,
        akash_oracle_v2_pb2.MsgAddPriceEntry,
        akash_provider_v1beta4_pb2.MsgCreateProvider,
        akash_provider_v1beta4_pb2.MsgDeleteProvider,
        akash_provider_v1beta4_pb2.MsgUpdateProvider,
        cosmos_authz_v1beta1_pb2.GenericAuthorization,
        cosmos_authz_v1beta1_pb2.MsgExec,
        cosmos_authz_v1beta1_pb2.MsgGrant,
        cosmos_authz_v1beta1_pb2.MsgRevoke,
        cosmos_bank_v1beta1_pb2.MsgSend,
        cosmos_crypto_secp256k1_pb2.PubKey,
        cosmos_feegrant_v1beta1_pb2.AllowedMsgAllowance,
        cosmos_feegrant_v1beta1_pb2.BasicAllowance,
        cosmos_feegrant_v1beta1_pb2.MsgGrantAllowance,
        cosmos_feegrant_v1beta1_pb2.MsgRevokeAllowance,
    )
}


def type_url(kind: type[Message] | Message) -> str:
    """Return the URL of a type, such as ``/cosmos.bank.v1beta1.MsgSend``."""
    return f"/{kind.DESCRIPTOR.full_name}"


def type_of(url: str) -> type[Message]:
    """Return the type named by a URL. Raises UnknownTypeError."""
    kind = TYPES.get(url)
    if kind is None:
        raise UnknownTypeError(f"unable to resolve type URL {url}")
    return kind
