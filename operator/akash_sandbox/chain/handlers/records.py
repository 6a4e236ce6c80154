"""akash.provider.v1beta4, akash.audit.v1 and akash.cert.v1."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import replace

from cryptography import x509
from google.protobuf.message import Message

from akash_proto.schema.akash_audit_v1_pb2 import (
    MsgDeleteProviderAttributes,
    MsgSignProviderAttributes,
)
from akash_proto.schema.akash_base_attributes_v1_pb2 import Attribute
from akash_proto.schema.akash_cert_v1_pb2 import MsgCreateCertificate, MsgRevokeCertificate
from akash_proto.schema.akash_provider_v1beta4_pb2 import (
    MsgCreateProvider,
    MsgDeleteProvider,
    MsgUpdateProvider,
)
from akash_sandbox.chain.handlers.context import Context
from akash_sandbox.chain.refused import TxError
from akash_sandbox.market.records import Audit, Certificate, CertificateState, Pairs, Record


def handle(context: Context, message: Message) -> bool:
    """Execute a message; return whether it is one of these. Raises RefusalError."""
    match message:
        case MsgCreateProvider() | MsgUpdateProvider():
            _provider(context, message)
        case MsgDeleteProvider():
            raise TxError("NOTIMPLEMENTED", codespace="provider", code=9)
        case MsgSignProviderAttributes():
            _sign(context, message)
        case MsgDeleteProviderAttributes():
            _unsign(context, message)
        case MsgCreateCertificate():
            _certify(context, message)
        case MsgRevokeCertificate():
            _revoke(context, message)
        case _:
            return False
    return True


def _provider(context: Context, message: MsgCreateProvider | MsgUpdateProvider) -> None:
    records = context.state.book.records
    known, new = records.provider(message.owner), isinstance(message, MsgCreateProvider)
    if new and known is not None:
        text = f"id: {message.owner}: invalid provider: already exists"
        raise TxError(text, codespace="provider", code=4)
    if not new and known is None:
        raise _no_provider()
    records.put_provider(
        Record(
            owner=message.owner,
            host_uri=message.host_uri,
            attributes=_pairs(message.attributes),
            email=message.info.email,
            website=message.info.website,
        )
    )
    event = "EventProviderCreated" if new else "EventProviderUpdated"
    context.state.book.events.typed(f"akash.provider.v1beta4.{event}", owner=message.owner)


def _sign(context: Context, message: MsgSignProviderAttributes) -> None:
    if context.state.book.records.provider(message.owner) is None:
        raise _no_provider()
    context.state.book.records.put_audit(
        Audit(owner=message.owner, auditor=message.auditor, attributes=_pairs(message.attributes))
    )
    context.state.book.events.typed(
        "akash.audit.v1.EventTrustedAuditorCreated", owner=message.owner, auditor=message.auditor
    )


def _unsign(context: Context, message: MsgDeleteProviderAttributes) -> None:
    records = context.state.book.records
    left = dict(records.without_audit(message.owner, message.auditor))
    for name in message.keys or list(left):
        left.pop(name, None)
    if left:
        pairs = tuple(left.items())
        records.put_audit(Audit(owner=message.owner, auditor=message.auditor, attributes=pairs))
    context.state.book.events.typed(
        "akash.audit.v1.EventTrustedAuditorDeleted", owner=message.owner, auditor=message.auditor
    )


def _certify(context: Context, message: MsgCreateCertificate) -> None:
    try:
        serial = str(x509.load_pem_x509_certificate(message.cert).serial_number)
    except ValueError:
        text = "invalid certificate value"
        raise TxError(text, codespace="cert", code=6) from None
    records = context.state.book.records
    if records.certificates(owner=message.owner, serial=serial):
        raise TxError("certificate already exists", codespace="cert", code=3)
    records.put_certificate(
        Certificate(
            owner=message.owner,
            serial=serial,
            cert=base64.b64encode(message.cert).decode(),
            pubkey=base64.b64encode(message.pubkey).decode(),
        )
    )


def _revoke(context: Context, message: MsgRevokeCertificate) -> None:
    records = context.state.book.records
    found = records.certificates(owner=message.id.owner, serial=message.id.serial)
    if not found:
        raise TxError("certificate not found", codespace="cert", code=1)
    if found[0].state is CertificateState.REVOKED:
        raise TxError("certificate already revoked", codespace="cert", code=4)
    records.put_certificate(replace(found[0], state=CertificateState.REVOKED))


def _pairs(attributes: Iterable[Attribute]) -> Pairs:
    return tuple((each.key, each.value) for each in attributes)


def _no_provider() -> TxError:
    text = "invalid provider: address not found"
    return TxError(text, codespace="provider", code=3)
