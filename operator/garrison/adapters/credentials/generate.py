"""Credentials that Garrison makes up itself."""

from __future__ import annotations

import secrets
import string

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from garrison.api.secret import Generate

LETTERS_AND_DIGITS = string.ascii_letters + string.digits


def generated(how: Generate) -> bytes:
    """Return a fresh credential: text, or for Ed25519 a private key as PKCS #8 PEM."""
    match how.kind:
        case "Password":
            return "".join(secrets.choice(LETTERS_AND_DIGITS) for _ in range(how.length)).encode()
        case "APIKey":
            return secrets.token_urlsafe(how.length)[: how.length].encode()
        case "Ed25519":
            return Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
