"""The key and certificate that an account shows to providers' gateways, instead of tokens (x/cert).

The key is derived from the account's own, so that it is the same after every start and is stored
nowhere: who has the account's key has this one, and nobody else does.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from garrison.adapters.akash.wallet.signer import Signer

LIFETIME = timedelta(days=365)
BACKDATE = timedelta(minutes=5)
"""Room for a clock that is behind."""
_VERSION = x509.ObjectIdentifier("2.23.133.2.6")
_PURPOSE = b"Garrison: client key for Akash provider gateways, version 1"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class ClientKey:
    """A P-256 key of an account. It prints as ``***``."""

    __slots__ = ("_address", "_key")

    def __init__(self, key: ec.EllipticCurvePrivateKey, address: str) -> None:
        self._key = key
        self._address = address

    @classmethod
    async def of(cls, signer: Signer) -> ClientKey:
        """Return the account's key: made of a signature, which is always the same (RFC 6979)."""
        seed = hashlib.sha512(await signer.sign(_PURPOSE)).digest()
        number = int.from_bytes(seed, "big") % (_ORDER - 1) + 1
        return cls(ec.derive_private_key(number, ec.SECP256R1()), signer.address)

    @property
    def public_pem(self) -> bytes:
        """Return the public key as the chain takes it."""
        pem = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.replace(b"PUBLIC KEY", b"EC PUBLIC KEY")

    def owns(self, certificate: x509.Certificate) -> bool:
        """Return whether a certificate is of this key."""
        return certificate.public_key() == self._key.public_key()

    def certificate(self, now: datetime) -> x509.Certificate:
        """Return a fresh certificate, named after the account and signed by itself."""
        version = x509.NameAttribute(_VERSION, "v0.0.1")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._address), version])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(int(now.timestamp() * 1_000_000) * 1000)
            .not_valid_before(now - BACKDATE)
            .not_valid_after(now + LIFETIME)
            .add_extension(_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        return builder.sign(self._key, hashes.SHA256())

    def identity(self, certificate: x509.Certificate) -> bytes:
        """Return key and certificate as PEM, for TLS."""
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + certificate.public_bytes(Encoding.PEM)

    def __repr__(self) -> str:
        return "***"


def _usage() -> x509.KeyUsage:
    """Return what wallets of the network write, which is not what TLS does with the key."""
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
