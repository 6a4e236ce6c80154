"""Mints of an account: recorded by a pass, asked for in the background, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from garrison.api.account import Account, MintStatus
from garrison.api.meta import ACCOUNT, Key
from garrison.api.money import MicroUSD, parse_dollars
from garrison.controllers.surveys import Survey
from garrison.core.minting import Funds, intended, is_usable, wanted
from garrison.errors import GarrisonError, RejectedError, UnknownOutcomeError
from garrison.ports.clock import Chance
from garrison.ports.market import Exchanges
from garrison.runtime.jobs import Jobs

JOB = "mint"


class Mints:
    """Holds the tokens of this process: who did not record a mint never asks for it."""

    def __init__(self, *, jobs: Jobs, exchanges: Exchanges, chance: Chance) -> None:
        self._jobs = jobs
        self._exchanges = exchanges
        self._chance = chance
        self._tokens: dict[str, str] = {}

    def record(
        self, account: Account, survey: Survey | None, burn: MicroUSD, now: datetime
    ) -> MintStatus | None:
        """Return the record as it should be: the outcome folded in, or a new intent."""
        known = self._folded(account)
        if known is not account.status.mint:
            return known
        if survey is None or survey.error or survey.balance is None or survey.mintage is None:
            return known
        funds = Funds(at=survey.began, available=survey.balance.available, mintage=survey.mintage)
        amount = wanted(account, funds, burn, now)
        if amount is None or self._jobs.running(_key(account), JOB):
            return known
        token = self._chance.token()
        self._tokens[account.meta.name] = token
        return intended(amount, token, now)

    def due(self, account: Account, now: datetime) -> MicroUSD | None:
        """Return what this process has recorded and not yet asked for."""
        mint = account.status.mint
        if mint is None or self._tokens.get(account.meta.name) != mint.token:
            return None
        return parse_dollars(mint.amount) if is_usable(account, now) else None

    def start(self, account: Account, amount: MicroUSD) -> None:
        """Ask for it in the background: a chain is slow, and grants must not wait."""
        token = self._tokens.pop(account.meta.name, None)
        if token is not None:
            self._jobs.start(_key(account), JOB, lambda: self._mint(account, token, amount))

    async def _mint(self, account: Account, token: str, amount: MicroUSD) -> MintStatus | None:
        mint = account.status.mint
        if mint is None or mint.token != token:
            return None
        try:
            exchange = await self._exchanges.of(account)
            if exchange.minter is None:
                raise RejectedError("this market mints nothing")
            await exchange.minter.mint(amount)
        except UnknownOutcomeError:
            raise
        except GarrisonError as error:
            return replace(mint, outcome="Refused", message=str(error)[:1024])
        return replace(mint, outcome="Sent")

    def _folded(self, account: Account) -> MintStatus | None:
        mint = account.status.mint
        result = self._jobs.take(_key(account), JOB)
        if result is None or mint is None:
            return mint
        if isinstance(result.value, MintStatus):
            return result.value if result.value.token == mint.token else mint
        return replace(mint, outcome="Unknown", message=str(result.error or "")[:1024])


def _key(account: Account) -> Key:
    return Key(kind=ACCOUNT.kind, namespace="", name=account.meta.name)
