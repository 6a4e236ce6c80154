"""Who has how many coins."""

from __future__ import annotations

from collections.abc import Mapping

from akash_sandbox.market.events import Events

UACT = "uact"
UAKT = "uakt"
ESCROW = "akash14pphss726thpwws3yc458hggufynm9x77l4l2u"
"""The account that holds every deposit."""
FEES = "akash17xpfvakm2amg962yls6f84z3kell8c5lazw8j8"
"""The account that fees go to."""

Balances = dict[str, dict[str, int]]


class InsufficientError(Exception):
    """An account has less than it should pay."""

    def __init__(self, has: int, needs: int, denom: str) -> None:
        super().__init__(f"spendable balance {has}{denom} is smaller than {needs}{denom}")


class Bank:
    """Balances by address and denomination; coins move, and are made and burnt by name only."""

    def __init__(self, events: Events, balances: Mapping[str, Mapping[str, int]] = {}) -> None:
        self.events = events
        self.balances: Balances = {a: dict(coins) for a, coins in balances.items()}

    def balance(self, address: str, denom: str) -> int:
        return self.balances.get(address, {}).get(denom, 0)

    def coins(self, address: str) -> list[tuple[str, int]]:
        """Return what an account has, by denomination."""
        return sorted((d, n) for d, n in self.balances.get(address, {}).items() if n)

    def send(self, source: str, target: str, denom: str, amount: int) -> None:
        """Move coins; raises InsufficientError. Nothing happens for an amount of 0."""
        if not amount:
            return
        has = self.balance(source, denom)
        if has < amount:
            raise InsufficientError(has, amount, denom)
        self._add(source, denom, -amount)
        self._add(target, denom, amount)
        coin = f"{amount}{denom}"
        self.events.tell("coin_spent", ("spender", source), ("amount", coin))
        self.events.tell("coin_received", ("receiver", target), ("amount", coin))
        self.events.tell("transfer", ("recipient", target), ("sender", source), ("amount", coin))
        self.events.tell("message", ("sender", source))

    def mint(self, address: str, denom: str, amount: int) -> None:
        """Make coins."""
        self._add(address, denom, amount)

    def burn(self, address: str, denom: str, amount: int) -> None:
        """Take coins out of the world; raises InsufficientError."""
        has = self.balance(address, denom)
        if has < amount:
            raise InsufficientError(has, amount, denom)
        self._add(address, denom, -amount)

    def supply(self, denom: str) -> int:
        """Return how many coins there are."""
        return sum(coins.get(denom, 0) for coins in self.balances.values())

    def snapshot(self) -> Balances:
        """Return all balances, to be restored or kept."""
        return {address: dict(coins) for address, coins in self.balances.items()}

    def restore(self, balances: Balances) -> None:
        self.balances = {address: dict(coins) for address, coins in balances.items()}

    def _add(self, address: str, denom: str, amount: int) -> None:
        coins = self.balances.setdefault(address, {})
        coins[denom] = coins.get(denom, 0) + amount
