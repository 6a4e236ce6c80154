"""Certificates that providers published on the chain, for gateways without one of a web authority.

A self-signed certificate proves the provider's identity only when it is, byte for byte, one that this
provider's own account put on the chain. One of any other account proves nothing.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from garrison.adapters.akash.chain.answers import CERTIFICATE
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.memo import Memo
from garrison.ports.clock import Clock

CERTIFICATES = "/akash/cert/v1/certificates/list"
KEEP_SECONDS = 300.0
MAX_CERTIFICATES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    fingerprints: tuple[bytes, ...]
    until: float


class ChainCertificates:
    """Reads providers' certificates (``adapters.akash.gateway.Certificates``)."""

    def __init__(self, *, nodes: Nodes, clock: Clock) -> None:
        self._nodes = nodes
        self._clock = clock
        self._kept: Memo[_Kept] = Memo(1000)

    async def of(self, provider: str) -> Sequence[bytes]:
        """Return the SHA-256 of each certificate in force, the newest first. Raises UnavailableError."""
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(provider)
        if kept is None or kept.until <= now:
            params = {"filter.owner": provider, "filter.state": "valid"}
            items = await self._nodes.pages(CERTIFICATES, params, "certificates")
            kept = _Kept(fingerprints=self._sound(items, provider), until=now + KEEP_SECONDS)
            self._kept.keep(provider, kept)
        return kept.fingerprints

    def _sound(self, items: Sequence[Any], provider: str) -> tuple[bytes, ...]:
        found = [each for item in items if (each := self._certificate(item, provider)) is not None]
        found.sort(key=lambda each: each.not_valid_before_utc, reverse=True)
        return tuple(each.fingerprint(hashes.SHA256()) for each in found[:MAX_CERTIFICATES])

    def _certificate(self, item: Any, provider: str) -> x509.Certificate | None:
        """Return a certificate of the provider in force, None for anything else."""
        try:
            listed = CERTIFICATE.validate_python(item).certificate
            pem = base64.b64decode(listed.cert, validate=True)
            read = x509.load_pem_x509_certificate(pem)
        except (ValueError, binascii.Error):
            return None
        now = self._clock.now()
        fits = read.not_valid_before_utc <= now <= read.not_valid_after_utc
        names = {_name(read.subject), _name(read.issuer)}
        return read if listed.state == "valid" and fits and names == {provider} else None


def _name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""
