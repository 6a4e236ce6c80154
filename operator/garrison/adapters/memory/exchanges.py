"""Accounts at a market in memory."""

from __future__ import annotations

from garrison.api.account import Account
from garrison.errors import AuthError
from garrison.ports.market import Exchange, LeaseGateway, Market, Minter


class MemoryExchanges:
    """Implements ``Exchanges``: every account trades at the same market."""

    def __init__(self, market: Market, gateway: LeaseGateway, minter: Minter | None = None) -> None:
        self._exchange = Exchange(market=market, gateway=gateway, minter=minter)
        self.locked: set[str] = set()
        """accounts whose Secret is missing"""

    async def of(self, account: Account) -> Exchange:
        """Return the exchange. Raises AuthError for a locked account."""
        if account.meta.name in self.locked:
            raise AuthError(f"AkashAccount {account.meta.name}: the Secret with its key is missing")
        return self._exchange
