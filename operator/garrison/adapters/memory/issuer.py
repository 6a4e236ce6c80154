"""Credentials in memory: what is live is the truth, for checks."""

from __future__ import annotations

from datetime import datetime

from garrison.adapters.memory.faults import Call
from garrison.adapters.memory.market import MemoryMarket
from garrison.ports.credentials import Credential, CredentialAsk


class MemoryIssuer:
    """Implements ``Issuer``. ``live`` are the asks whose credential is valid, by key."""

    def __init__(self, market: MemoryMarket) -> None:
        self._market = market
        self.live: dict[str, CredentialAsk] = {}
        self.content = "one"
        """what every SecretRef holds now"""

    async def mint(self, ask: CredentialAsk) -> None:
        """Make a credential valid."""

        def effect(_now: datetime) -> None:
            self.live[ask.key] = ask

        await self._market.faults.write(self._call("mint", ask, write=True), effect)

    async def value(self, ask: CredentialAsk) -> Credential | None:
        """Return the key as value while it is valid."""

        def answer(_moment: datetime) -> Credential | None:
            return Credential(value=ask.key.encode()) if ask.key in self.live else None

        return await self._market.faults.read(self._call("value", ask, write=False), answer)

    async def revoke(self, ask: CredentialAsk) -> None:
        """Make a credential invalid."""

        def effect(_now: datetime) -> None:
            self.live.pop(ask.key, None)

        await self._market.faults.write(self._call("revoke", ask, write=True), effect)

    async def digest(self, ask: CredentialAsk) -> str:
        """Return what a SecretRef holds."""

        def answer(_moment: datetime) -> str:
            return self.content if ask.spec.source.type == "SecretRef" else ""

        return await self._market.faults.read(self._call("digest", ask, write=False), answer)

    def _call(self, operation: str, ask: CredentialAsk, *, write: bool) -> Call:
        return Call(port="issuer", operation=operation, write=write, subject=ask.key)
