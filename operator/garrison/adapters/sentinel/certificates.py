"""X.509 certificates of Garrison's two authorities (RFC 5280, SPIFFE X.509-SVID), P-256 throughout."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from garrison.adapters.sentinel.tenure import LIFE
from garrison.errors import AuthError

BACKDATED = timedelta(minutes=5)
"""Clocks of rented machines run ahead and behind."""
NO_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""No well-defined end of validity (RFC 5280, 4.1.2.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """An authority's certificate and key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a leaf certificate says: one SPIFFE id, and DNS names for servers only."""

    uri: str
    until: datetime
    dns: tuple[str, ...] = ()


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def new_authority(
    name: str, now: datetime, *, permitted: tuple[x509.GeneralName, ...] = ()
) -> Signer:
    """Return a fresh self-signed authority; ``permitted`` become its name constraints."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _dated(subject, subject, key.public_key(), now, now + LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
    )
    if permitted:
        constraints = x509.NameConstraints(
            permitted_subtrees=list(permitted), excluded_subtrees=None
        )
        builder = builder.add_extension(constraints, critical=True)
    return Signer(certificate=builder.sign(key, hashes.SHA256()), key=key)


def client_certificate(
    signer: Signer, key: ec.EllipticCurvePublicKey, subject: Subject, now: datetime
) -> x509.Certificate:
    """Return a client certificate: it opens connections and accepts none."""
    return _leaf(signer, key, subject, now, ExtendedKeyUsageOID.CLIENT_AUTH)


def server_certificate(
    signer: Signer, key: ec.EllipticCurvePublicKey, subject: Subject, now: datetime
) -> x509.Certificate:
    """Return a server certificate: it accepts connections and opens none."""
    return _leaf(signer, key, subject, now, ExtendedKeyUsageOID.SERVER_AUTH)


def pinned_client(key: ec.EllipticCurvePrivateKey, uri: str, now: datetime) -> x509.Certificate:
    """Return a client certificate by its own key and without an end, for whoever knows just it."""
    return _pinned(key, uri, now, ExtendedKeyUsageOID.CLIENT_AUTH)


def pinned_server(key: ec.EllipticCurvePrivateKey, uri: str, now: datetime) -> x509.Certificate:
    """Return the same for a server."""
    return _pinned(key, uri, now, ExtendedKeyUsageOID.SERVER_AUTH)


def _pinned(
    key: ec.EllipticCurvePrivateKey, uri: str, now: datetime, usage: x509.ObjectIdentifier
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri.rpartition("/")[2][:64])])
    dated = _dated(name, name, key.public_key(), now, NO_END)
    return _described(dated, Subject(uri=uri, until=NO_END), key, usage)


def _leaf(
    signer: Signer,
    key: ec.EllipticCurvePublicKey,
    subject: Subject,
    now: datetime,
    usage: x509.ObjectIdentifier,
) -> x509.Certificate:
    issuer = signer.certificate
    until = min(subject.until, issuer.not_valid_after_utc)
    dated = _dated(x509.Name([]), issuer.subject, key, now, until)
    return _described(dated, subject, signer.key, usage)


def _described(
    dated: x509.CertificateBuilder,
    subject: Subject,
    signer: ec.EllipticCurvePrivateKey,
    usage: x509.ObjectIdentifier,
) -> x509.Certificate:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(subject.uri)]
    names += [x509.DNSName(each) for each in subject.dns]
    builder = (
        dated.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
    )
    return builder.sign(signer, hashes.SHA256())


def _dated(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def pem(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a key as unencrypted PKCS #8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """Return the SHA-256 of a public key (SubjectPublicKeyInfo, DER) in hex: what is pinned."""
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def public_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """Return a certificate's P-256 key. Raises AuthError for any other kind."""
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise AuthError("the certificate's key is not P-256")
    return key


def uris(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the URIs in a certificate's subject alternative names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.UniformResourceIdentifier))


def is_signed(key: ec.EllipticCurvePublicKey, signature: bytes, text: str) -> bool:
    """Return whether ``signature`` (ECDSA, SHA-256, DER) over ``text`` was made with the key."""
    try:
        key.verify(signature, text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
