"""Credentials in memory: what is live is the truth, for checks."""

from __future__ import annotations

from datetime import datetime

from garrison.adapters.memory.faults import Call
from garrison.adapters.memory.market import MemoryMarket
from garrison.errors import UnavailableError
from garrison.ports.credentials import Credential, CredentialAsk


class MemoryIssuer:
    """Implements ``Issuer``. ``live`` are the asks whose credential is valid, by key.

    A credential is revoked where it was minted: another source knows nothing of it, and says so kindly.
    """

    def __init__(self, market: MemoryMarket) -> None:
        self._market = market
        self.live: dict[str, CredentialAsk] = {}
        self.content = "one"
        """what every SecretRef holds now"""
        self.silent: set[str] = set()
        """URLs of webhooks that do not answer"""

    async def mint(self, ask: CredentialAsk) -> None:
        """Make a credential valid."""

        def effect(_now: datetime) -> None:
            self._reach(ask)
            self.live.setdefault(ask.key, ask)

        await self._market.faults.write(self._call("mint", ask, write=True), effect)

    async def value(self, ask: CredentialAsk) -> Credential | None:
        """Return the key as value while it is valid."""

        def answer(_moment: datetime) -> Credential | None:
            return Credential(value=ask.key.encode()) if ask.key in self.live else None

        return await self._market.faults.read(self._call("value", ask, write=False), answer)

    async def revoke(self, ask: CredentialAsk) -> None:
        """Make a credential invalid."""

        def effect(_now: datetime) -> None:
            self._reach(ask)
            known = self.live.get(ask.key)
            if known is not None and known.source == ask.source:
                del self.live[ask.key]

        await self._market.faults.write(self._call("revoke", ask, write=True), effect)

    async def digest(self, ask: CredentialAsk) -> str:
        """Return what a SecretRef holds."""

        def answer(_moment: datetime) -> str:
            return self.content if ask.source.type == "SecretRef" else ""

        return await self._market.faults.read(self._call("digest", ask, write=False), answer)

    def _reach(self, ask: CredentialAsk) -> None:
        webhook = ask.source.webhook
        if webhook is not None and webhook.url in self.silent:
            raise UnavailableError(f"{webhook.url}: no answer in time")

    def _call(self, operation: str, ask: CredentialAsk, *, write: bool) -> Call:
        return Call(port="issuer", operation=operation, write=write, subject=ask.key)
