"""Client certificates, as a gateway takes them: signed by themselves, and published on the chain.

OpenSSL refuses them for what their key may be used for, unless its store trusts them as clients in so
many words (an X509_AUX). So the store is a file of exactly the certificates that the chain has now.
"""

from __future__ import annotations

import base64
import datetime as dt
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from cryptography.x509.oid import NameOID

from akash_sandbox.files import write_whole
from akash_sandbox.market.records import Certificate, CertificateState, Records

_TRUSTED_AS_CLIENT = bytes.fromhex("300c300a06082b06010505070302")
"""An X509_AUX in DER: trust for the purpose 1.3.6.1.5.5.7.3.2."""


class Doorkeeper:
    """Makes TLS contexts that ask for a client certificate, and reads who came."""

    def __init__(self, records: Records, folder: Path) -> None:
        self._records = records
        self._file = folder / "clients.pem"
        self._known: Sequence[Certificate] | None = None
        self._contexts: dict[Path, ssl.SSLContext] = {}

    def context(self, identity: Path) -> ssl.SSLContext:
        """Return the context of a server's certificate, with the clients that the chain knows now."""
        known = self._records.certificates(state=CertificateState.VALID)
        if known != self._known:
            self._known, self._contexts = known, {}
            write_whole(self._file, b"".join(map(_trusted, known)))
        if identity not in self._contexts:
            self._contexts[identity] = self._made(identity)
        return self._contexts[identity]

    def owner(self, der: bytes, now: float) -> str | None:
        """Return whose certificate it is, None when it is not good for anything."""
        shown = x509.load_der_x509_certificate(der)
        names = {_common_name(shown.subject), _common_name(shown.issuer)}
        owner = names.pop()
        moment = dt.datetime.fromtimestamp(now, dt.UTC)
        if names or not shown.not_valid_before_utc <= moment <= shown.not_valid_after_utc:
            return None
        found = self._records.certificates(
            owner=owner, serial=str(shown.serial_number), state=CertificateState.VALID
        )
        return owner if any(_signed(shown, each) for each in found) else None

    def _made(self, identity: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(identity)
        context.verify_mode = ssl.CERT_OPTIONAL
        if self._known:
            context.load_verify_locations(cafile=self._file)
        return context


def _trusted(published: Certificate) -> bytes:
    try:
        found = x509.load_pem_x509_certificate(base64.b64decode(published.cert))
    except ValueError:
        return b""
    text = base64.encodebytes(found.public_bytes(Encoding.DER) + _TRUSTED_AS_CLIENT)
    return b"-----BEGIN TRUSTED CERTIFICATE-----\n" + text + b"-----END TRUSTED CERTIFICATE-----\n"


def _signed(shown: x509.Certificate, published: Certificate) -> bool:
    """Return whether a certificate is signed by the key that was published beside it."""
    pem = base64.b64decode(published.pubkey).replace(b"EC PUBLIC KEY", b"PUBLIC KEY")
    try:
        key = load_pem_public_key(pem)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(shown.signature, shown.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature):
        return False
    return True


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""
