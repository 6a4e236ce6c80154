"""The local market's own certificate authority and its servers' certificates."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from akash_sandbox.files import write_private, write_whole
from akash_sandbox.market.records import Certificate

_VALID = dt.timedelta(days=825)
_VERSION = x509.ObjectIdentifier("2.23.133.2.6")
_BACKDATED = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainIdentity:
    """A self-signed certificate that its owner publishes on the chain; ``file`` has the key, too."""

    file: Path
    certificate: x509.Certificate

    def record(self, owner: str) -> Certificate:
        """Return what the chain keeps of it."""
        spki = self.certificate.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        public = spki.replace(b"PUBLIC KEY", b"EC PUBLIC KEY")
        return Certificate(
            owner=owner,
            serial=str(self.certificate.serial_number),
            cert=base64.b64encode(
                self.certificate.public_bytes(serialization.Encoding.PEM)
            ).decode(),
            pubkey=base64.b64encode(public).decode(),
        )


class Authority:
    """Issues server certificates; its own certificate is ``ca.pem`` in the state folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca_file = folder / "ca.pem"
        key_file = folder / "ca.key"
        if not self.ca_file.exists() or not key_file.exists():
            self._create(key_file)
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{key_file}: not an EC key; remove it and {self.ca_file}")
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(self.ca_file.read_bytes())

    def server_context(self, name: str, hosts: Iterable[str]) -> ssl.SSLContext:
        """Return a TLS 1.3 server context with a certificate valid for ``hosts``."""
        return _server_context(self.server_identity(name, hosts))

    def server_identity(self, name: str, hosts: Iterable[str]) -> Path:
        """Return a file with a certificate valid for ``hosts``, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._leaf(key, name, sorted(set(hosts)))
        chain = self._folder / f"{name}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        write_private(chain, private + certificate.public_bytes(serialization.Encoding.PEM))
        return chain

    def chain_identity(self, name: str, address: str, hosts: Iterable[str]) -> ChainIdentity:
        """Return a provider's certificate for the chain, the same one on every start.

        It is signed by itself, and named after the provider's address.
        """
        file = self._folder / f"{name}.chain.pem"
        if not file.exists():
            write_private(file, _self_signed(address, sorted(set(hosts))))
        return ChainIdentity(
            file=file,
            certificate=x509.load_pem_x509_certificate(file.read_bytes()),
        )

    def _create(self, key_file: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Local Akash market CA")
        builder = _builder(name, name, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        builder = builder.add_extension(_usage(certificates=True), critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        builder = builder.serial_number(x509.random_serial_number())
        certificate = builder.sign(key, hashes.SHA256())
        write_private(
            key_file,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        write_whole(self.ca_file, certificate.public_bytes(serialization.Encoding.PEM))

    def _leaf(
        self, key: ec.EllipticCurvePrivateKey, name: str, hosts: list[str]
    ) -> x509.Certificate:
        builder = _builder(_name(name), self._certificate.subject, key)
        for extension, critical in (
            (x509.SubjectAlternativeName([_general_name(host) for host in hosts]), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(certificates=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                False,
            ),
        ):
            builder = builder.add_extension(extension, critical=critical)
        return builder.serial_number(x509.random_serial_number()).sign(self._key, hashes.SHA256())


def is_web_name(name: str | None, host: str) -> bool:
    """Return whether who asks for a name in TLS means the web's certificate, not the chain's.

    A host that is an IP address cannot be asked for by name, so there no name counts as the right one.
    """
    right = name is None if _is_address(host) else name == host
    return right or name == "localhost"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _server_context(chain: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(chain)
    return context


def _self_signed(address: str, hosts: list[str]) -> bytes:
    """Return key and certificate as a provider of the network makes them (x/cert)."""
    key = ec.generate_private_key(ec.SECP256R1())
    version = x509.NameAttribute(_VERSION, "v0.0.1")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address), version])
    builder = _builder(name, name, key).serial_number(time.time_ns())
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    for extension, critical in (
        (_usage(certificates=False, encipherment=True), True),
        (x509.ExtendedKeyUsage(usages), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.SubjectAlternativeName([_general_name(host) for host in hosts]), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate = builder.sign(key, hashes.SHA256())
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _VALID)
    )


def _usage(*, certificates: bool, encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates and not encipherment,
        content_commitment=False,
        key_encipherment=encipherment,
        data_encipherment=encipherment,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
