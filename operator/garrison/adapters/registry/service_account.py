"""The key of a Google service account, as the console and `gcloud` write it (JSON), and what it signs."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from yarl import URL

USERS = ("_json_key", "_json_key_base64")
"""Who logs in with such a key as the password, by the documentation of Google's registries."""
LIFE = timedelta(hours=1)
"""The longest that the token server takes."""
BACKDATE = timedelta(seconds=10)
"""Room for a token server whose clock is behind."""
MAX_PEM = 4096
"""Characters: a key of 4096 bits fits, one whose check takes seconds does not."""
LEAST_BITS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountKey:
    """A service account's key; ``token_uri`` is where it is exchanged."""

    email: str
    token_uri: URL
    key_id: str
    private: rsa.RSAPrivateKey = field(repr=False)


def is_key(username: str, password: str) -> bool:
    """Return whether a login is, or may be, a key that ends by itself never."""
    return username.strip() in USERS or "PRIVATE KEY-----" in password


def parse_key(password: str) -> ServiceAccountKey:
    """Return the key that a password is, as JSON or in base64.

    Raises ValueError, which says what is wrong with it and quotes nothing.
    """
    found = _document(password)
    if found.get("type") != "service_account":
        raise ValueError('it is not JSON with "type": "service_account"')
    return ServiceAccountKey(
        email=_text(found, "client_email"),
        token_uri=_url(_text(found, "token_uri")),
        key_id=str(found.get("private_key_id") or ""),
        private=_private(_text(found, "private_key")),
    )


def assertion(key: ServiceAccountKey, scope: str, now: datetime) -> str:
    """Return a JSON web token by which the account asks for ``scope`` (RFC 7523 section 3, RS256)."""
    issued = now - BACKDATE
    header = {"alg": "RS256", "typ": "JWT", **({"kid": key.key_id} if key.key_id else {})}
    claims = {
        "iss": key.email,
        "scope": scope,
        "aud": str(key.token_uri),
        "iat": int(issued.timestamp()),
        "exp": int((issued + LIFE).timestamp()),
    }
    text = f"{_part(header)}.{_part(claims)}"
    signature = key.private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{_encoded(signature)}"


def _document(password: str) -> Mapping[str, Any]:
    text = password.strip()
    try:
        if not text.startswith("{"):
            text = base64.b64decode("".join(text.split()), validate=True).decode()
        found = json.loads(text)
    except (ValueError, RecursionError, binascii.Error):
        found = None
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object, nor one in base64")  # noqa: TRY004 - it is a text
    return found


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"it has no {name}")
    return value.strip()


def _url(text: str) -> URL:
    try:
        url = URL(text, encoded=True)
        usable = url.scheme == "https" and bool(url.host) and url.user is None
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("its token_uri is no https URL")
    return url


def _private(pem: str) -> rsa.RSAPrivateKey:
    try:
        if len(pem) > MAX_PEM:
            raise ValueError
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < LEAST_BITS:
        raise ValueError(
            f"its private_key is no RSA key in PEM of {LEAST_BITS} to 4096 bits without a passphrase"
        ) from None
    return key


def _part(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
