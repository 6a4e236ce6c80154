"""A token server as RFC 7523 and Google's documents have it, and a service account's key for it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only"
EMAIL = "puller@models.iam.example"
KEY_ID = "0f1e2d"
TOKEN = "ya29.canary-short-7b1d"
AN_HOUR = 3600


@cache
def private_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """The account's key; making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def pem(key: rsa.RSAPrivateKey) -> str:
    """A private key as it stands in the file."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def key_file(token_uri: str, **changed: Any) -> str:
    """What `gcloud iam service-accounts keys create` writes."""
    found = {
        "type": "service_account",
        "project_id": "models",
        "private_key_id": KEY_ID,
        "private_key": pem(private_key()),
        "client_email": EMAIL,
        "client_id": "1",
        "token_uri": token_uri,
        **changed,
    }
    return json.dumps({name: value for name, value in found.items() if value is not None})


def decoded(part: str) -> bytes:
    """Undo base64url without padding."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@dataclass(kw_only=True)
class TokenServer:
    """Gives an access token for a valid assertion, and says ``invalid_grant`` to any other."""

    audience: str = ""
    valid: rsa.RSAPublicKey = field(default_factory=lambda: private_key().public_key())
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    """the claims of every assertion that was accepted"""

    async def answer(self, request: web.Request) -> web.Response:
        """POST of a form: RFC 7523 section 2.1."""
        form = await request.post()
        text = str(form.get("assertion", ""))
        if request.method != "POST" or form.get("grant_type") != GRANT:
            return refusal("unsupported_grant_type")
        problem = self.problem(text)
        if problem:
            return refusal("invalid_grant", problem)
        self.asked.append(json.loads(decoded(text.split(".")[1])))
        return web.json_response(
            {"access_token": TOKEN, "expires_in": AN_HOUR - 1, "token_type": "Bearer"}
        )

    def problem(self, assertion: str) -> str:
        """Why an assertion is not valid, "" when it is."""
        head, payload, signature = assertion.split(".")
        signed = f"{head}.{payload}".encode()
        try:
            self.valid.verify(decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return "Invalid JWT Signature."
        header, claims = json.loads(decoded(head)), json.loads(decoded(payload))
        now = datetime.now(UTC).timestamp()
        wrong = {
            "alg": header != {"alg": "RS256", "typ": "JWT", "kid": KEY_ID},
            "iss": claims["iss"] != EMAIL,
            "aud": claims["aud"] != self.audience,
            "iat": not now - 60 <= claims["iat"] <= now,
            "exp": not now < claims["exp"] <= claims["iat"] + AN_HOUR,
        }
        return " ".join(name for name, is_wrong in wrong.items() if is_wrong)


def refusal(code: str, description: str = "") -> web.Response:
    """RFC 6749 section 5.2."""
    return web.json_response({"error": code, "error_description": description}, status=400)
