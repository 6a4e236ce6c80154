"""Credentials that are minted for one holder, delivered late, and revoked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from garrison.api.secret import Scope, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialAsk:
    """One version of one secret for one holder. ``key`` is the same in every try."""

    secret: str
    """uid of the RotatingSecret"""
    namespace: str
    name: str
    holder: str
    holder_name: str
    version: int
    source: Source
    """where it is made, and revoked"""
    scope: Scope
    every_seconds: int

    @property
    def key(self) -> str:
        """Return what makes repeated tries one: an idempotency key."""
        return f"{self.secret}/{self.holder}/{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A value as it is delivered; never printed."""

    value: bytes = field(repr=False)


class Issuer(Protocol):
    """Mints and revokes; keeps values beside the operator, never in a custom resource.

    Raises RejectedError (a person must change something), AuthError, TransientError.
    """

    async def mint(self, ask: CredentialAsk) -> None:
        """Make the credential of this ask exist. Repeating an ask gives the same credential."""

    async def value(self, ask: CredentialAsk) -> Credential | None:
        """Return what was minted, None when it was not or is gone."""

    async def revoke(self, ask: CredentialAsk) -> None:
        """Make the credential useless and forget it; also one whose minting has an unknown outcome."""

    async def digest(self, ask: CredentialAsk) -> str:
        """Return a digest of what a SecretRef holds now, "" for sources that do not change by themselves."""
