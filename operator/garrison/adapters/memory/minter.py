"""Minting at a market in memory: credit comes a while after it was asked for."""

from __future__ import annotations

from datetime import datetime, timedelta

from garrison.adapters.memory.faults import Call
from garrison.adapters.memory.market import MemoryMarket
from garrison.api.money import MicroUSD
from garrison.errors import FundsError
from garrison.ports.market import Mintage

LEAST = MicroUSD(10_000_000)
COINS = MicroUSD(10_000_000_000)


class MemoryMinter:
    """Implements ``Minter``. ``asked`` is the truth, for checks: when, and how much; ``tried``: when,
    whatever came of it.
    """

    def __init__(
        self,
        market: MemoryMarket,
        *,
        most: MicroUSD = COINS,
        takes: timedelta = timedelta(seconds=60),
    ) -> None:
        self._market = market
        self._takes = takes
        self.most = most
        self.asked: list[tuple[datetime, MicroUSD]] = []
        self.tried: list[datetime] = []

    async def mintage(self) -> Mintage:
        """Return what can be minted."""

        def answer(moment: datetime) -> Mintage:
            pending = any(at <= moment < at + self._takes for at, _ in self.asked)
            return Mintage(least=LEAST, most=self.most, is_pending=pending)

        self._market.settle()
        call = Call(port="minter", operation="mintage", write=False, subject="")
        return await self._market.faults.read(call, answer)

    async def mint(self, amount: MicroUSD) -> None:
        """Queue a mint."""

        def effect(now: datetime) -> None:
            if amount > self.most:
                raise FundsError("the wallet has not so many coins")
            self.most = MicroUSD(self.most - amount)
            self.asked.append((now, amount))
            self._market.later(now + self._takes, lambda _: self._market.credit(amount))

        self._market.settle()
        self.tried.append(self._market.now())
        call = Call(port="minter", operation="mint", write=True, subject="")
        await self._market.faults.write(call, effect)
