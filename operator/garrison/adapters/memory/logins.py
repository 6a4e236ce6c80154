"""Registry logins for providers, in memory: what was exchanged is the truth, for checks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from garrison.adapters.memory.faults import Call
from garrison.adapters.memory.market import MemoryMarket
from garrison.errors import UnavailableError
from garrison.ports.logins import KeptLogin, ProviderLogin
from garrison.ports.registry import Credentials

KEY_USER = "_json_key"
LIFE = timedelta(hours=1)


class MemoryLogins:
    """Implements ``Logins`` and ``KeptLogins``. ``made`` are the tokens, ``held`` what is kept, by lease."""

    def __init__(self, market: MemoryMarket) -> None:
        self._market = market
        self.made: list[str] = []
        self.held: dict[str, KeptLogin] = {}

    async def for_provider(self, found: Credentials, host: str) -> ProviderLogin:
        """Return a numbered token of an hour in place of a key, or the login as it is."""
        if found.username != KEY_USER:
            return ProviderLogin(credentials=found)

        def effect(now: datetime) -> ProviderLogin:
            self.made.append(f"token-{len(self.made) + 1}")
            login = Credentials(username="oauth2accesstoken", password=self.made[-1])
            return ProviderLogin(credentials=login, until=now + LIFE)

        return await self._market.faults.write(
            self._call("exchange", host, write=True), effect, UnavailableError
        )

    async def keep(self, kept: KeptLogin) -> None:
        """Keep it."""

        def effect(_now: datetime) -> None:
            self.held[kept.lease] = kept

        await self._market.faults.write(
            self._call("keep", kept.lease, write=True), effect, UnavailableError
        )

    async def find(self, lease: str, attempt: int) -> ProviderLogin | None:
        """Return what is kept."""

        def answer(_moment: datetime) -> ProviderLogin | None:
            kept = self.held.get(lease)
            return kept.login if kept is not None and kept.attempt == attempt else None

        return await self._market.faults.read(self._call("find", lease, write=False), answer)

    async def discard(self, lease: str) -> None:
        """Forget it."""

        def effect(_now: datetime) -> None:
            self.held.pop(lease, None)

        await self._market.faults.write(
            self._call("discard", lease, write=True), effect, UnavailableError
        )

    async def leases(self) -> Sequence[str]:
        """Return whose login is kept."""

        def answer(_moment: datetime) -> Sequence[str]:
            return list(self.held)

        return await self._market.faults.read(self._call("leases", "", write=False), answer)

    def _call(self, operation: str, subject: str, *, write: bool) -> Call:
        return Call(port="logins", operation=operation, write=write, subject=subject)
