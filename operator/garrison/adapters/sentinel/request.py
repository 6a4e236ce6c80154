"""Certificate requests from rented machines: untrusted input, of which only the key is taken."""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from garrison.errors import AuthError


def request_of(text: str) -> x509.CertificateSigningRequest:
    """Return a request from its PEM. Raises AuthError."""
    try:
        return x509.load_pem_x509_csr(text.encode())
    except ValueError:
        raise AuthError(
            "the sentinel's certificate request is none", reason="IdentityRefused"
        ) from None


def requested_key(csr: x509.CertificateSigningRequest) -> ec.EllipticCurvePublicKey:
    """Return the key of a request that proves possession of it. Raises AuthError."""
    try:
        key, is_signed = csr.public_key(), csr.is_signature_valid
    except (ValueError, UnsupportedAlgorithm):
        key, is_signed = None, False
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise AuthError("the certificate request's key is not P-256", reason="IdentityRefused")
    if not is_signed:
        raise AuthError(
            "the certificate request is not signed by its key", reason="IdentityRefused"
        )
    return key


def request_digest(csr: x509.CertificateSigningRequest) -> str:
    """Return the SHA-256 of the request's DER, hex."""
    return hashlib.sha256(csr.public_bytes(serialization.Encoding.DER)).hexdigest()
