"""The operator's two authorities as tests need them: certificates with one URI name each."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
_HOURS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate and its key, PEM."""

    certificate: str
    key: str

    def parsed(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.encode())

    def write(self, path: Path) -> Path:
        path.write_text(self.key + self.certificate)
        return path


class Authority:
    """Signs what it is asked to: tests make wrong certificates as well."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = self._builder(self._name, self._key.public_key(), _HOURS)
        certificate = builder.add_extension(constraints, critical=True).sign(
            self._key, hashes.SHA256()
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(
        self,
        *uris: str,
        usage: x509.ObjectIdentifier = CLIENT,
        hours: float = _HOURS,
        curve: ec.EllipticCurve | None = None,
    ) -> Issued:
        key = ec.generate_private_key(curve or ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        certificate = self.sign(key.public_key(), *uris, usage=usage, hours=hours)
        return Issued(certificate=certificate, key=private.decode())

    def sign(
        self,
        public: ec.EllipticCurvePublicKey,
        *uris: str,
        usage: x509.ObjectIdentifier = SERVER,
        hours: float = _HOURS,
    ) -> str:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        builder = self._builder(subject, public, hours).add_extension(
            x509.ExtendedKeyUsage([usage]), critical=False
        )
        if uris:
            names = x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(uri) for uri in uris]
            )
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def _builder(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey, hours: float
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=24))
            .not_valid_after(now + dt.timedelta(hours=hours))
        )


def client_context(authority: str, identity: Issued | None, folder: Path) -> ssl.SSLContext:
    """Return a client's context; the server's URI name is the caller's to check."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=authority)
    if identity:
        context.load_cert_chain(identity.write(folder / "client.pem"))
    return context
