"""Tokens for provider gateways, signed by the account's key (AEP-64, ES256K)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from garrison.adapters.akash.wallet.signer import Signer
from garrison.ports.clock import Clock

BACKDATE = timedelta(seconds=10)
"""Room for a provider's clock that is behind."""
_HEADER = {"alg": "ES256K", "typ": "JWT"}


async def token(
    signer: Signer, leases: Mapping[str, Any], *, now: datetime, lifetime: timedelta
) -> str:
    """Return a token with the rights ``leases``, good from now for ``lifetime``."""
    begin = int((now - BACKDATE).timestamp())
    claims = {
        "iss": signer.address,
        "exp": int((now + lifetime).timestamp()),
        "nbf": begin,
        "iat": begin,
        "version": "v1",
        "leases": leases,
    }
    text = f"{_part(_HEADER)}.{_part(claims)}"
    return f"{text}.{_encoded(await signer.sign(text.encode()))}"


class WalletIssuer:
    """Signs tokens with the account's own key (``adapters.akash.tokens.Issuer``)."""

    def __init__(self, *, signer: Signer, clock: Clock) -> None:
        self._signer = signer
        self._clock = clock

    async def issue(self, leases: Mapping[str, Any], lifetime: timedelta) -> str:
        """Return a signed token. Raises what the signer raises."""
        return await token(self._signer, leases, now=self._clock.now(), lifetime=lifetime)


def _part(value: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
