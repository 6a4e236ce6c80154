"""The issuer: one of three sources, and the vault (``ports.credentials.Issuer``)."""

from __future__ import annotations

import base64
import hashlib
from typing import assert_never

from garrison.adapters.credentials.generate import generated
from garrison.adapters.credentials.vault import Vault
from garrison.adapters.credentials.webhook import Webhook
from garrison.api.meta import SECRET
from garrison.api.secret import Generate
from garrison.errors import AuthError, RejectedError
from garrison.ports.credentials import Credential, CredentialAsk
from garrison.ports.kube import Kube


class KubeIssuer:
    """Implements ``Issuer``."""

    def __init__(self, *, kube: Kube, vault: Vault, webhook: Webhook) -> None:
        self._kube = kube
        self._vault = vault
        self._webhook = webhook

    async def mint(self, ask: CredentialAsk) -> None:
        """Make the credential of this ask exist; an earlier try's value stays."""
        if await self._vault.get(ask.key) is None:
            await self._vault.put(ask.key, await self._made(ask))

    async def _made(self, ask: CredentialAsk) -> bytes:
        source = ask.source
        match source.type:
            case "Generate":
                return generated(source.generate or Generate())
            case "SecretRef":
                return await self._referenced(ask)
            case "Webhook":
                return await self._webhook.mint(ask)
            case _:
                assert_never(source.type)

    async def _referenced(self, ask: CredentialAsk) -> bytes:
        reference = ask.source.secret_ref
        if reference is None:
            raise RejectedError("spec.source.secretRef is not set")
        where = f"Secret {ask.namespace}/{reference.name}"
        raw = await self._kube.get(SECRET, ask.namespace, reference.name)
        if raw is None:
            raise AuthError(
                f"{where} does not exist; create it, or change spec.source.secretRef of RotatingSecret "
                f"{ask.name}"
            )
        value = (raw.get("data") or {}).get(reference.key)
        if not value:
            raise AuthError(f"{where} has no key {reference.key!r}; add it, or name another key")
        return base64.b64decode(value)

    async def value(self, ask: CredentialAsk) -> Credential | None:
        """Return what was minted, None when it was not or is gone."""
        found = await self._vault.get(ask.key)
        return Credential(value=found) if found is not None else None

    async def revoke(self, ask: CredentialAsk) -> None:
        """Revoke at the source first, then forget the value: a crash between repeats the first."""
        if ask.source.type == "Webhook":
            await self._webhook.revoke(ask)
        await self._vault.drop(ask.key)

    async def digest(self, ask: CredentialAsk) -> str:
        """Return the SHA-256 of what a SecretRef holds now, hex; "" for other sources."""
        if ask.source.type != "SecretRef":
            return ""
        return hashlib.sha256(await self._referenced(ask)).hexdigest()
