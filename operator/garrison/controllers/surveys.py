"""What an account's market looks like: listed in the background, never blocking a grant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from garrison.api.account import Account
from garrison.api.meta import ACCOUNT, Key
from garrison.core.minting import is_asked_for
from garrison.errors import GarrisonError, TransientError
from garrison.ports.clock import Clock
from garrison.ports.market import (
    Balance,
    Deployment,
    EndpointFact,
    Exchange,
    Exchanges,
    Mintage,
    ProviderFact,
)
from garrison.runtime.jobs import Jobs

JOB = "survey"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One look at the market. ``began`` is before the first read."""

    began: datetime
    deployments: tuple[Deployment, ...] = ()
    providers: tuple[ProviderFact, ...] = ()
    balance: Balance | None = None
    mintage: Mintage | None = None
    endpoints: tuple[EndpointFact, ...] = ()
    error: GarrisonError | None = None


class Surveys:
    """The newest survey of each account, refreshed every ``period`` seconds."""

    def __init__(self, *, jobs: Jobs, exchanges: Exchanges, clock: Clock, period: float) -> None:
        self._jobs = jobs
        self._exchanges = exchanges
        self._clock = clock
        self.period = period
        self._known: dict[Key, Survey] = {}

    def forget(self, key: Key) -> None:
        """Drop what is known for an account."""
        self._known.pop(key, None)
        self._jobs.cancel(key)

    def newest(self, account: Account) -> tuple[Survey | None, bool]:
        """Return (the newest survey, whether it has just arrived); start one that is due."""
        key = Key(kind=ACCOUNT.kind, namespace="", name=account.meta.name)
        result = self._jobs.take(key, JOB)
        fresh = False
        if result is not None:
            fresh = True
            self._known[key] = self._folded(result.value, result.error, self._known.get(key))
        known = self._known.get(key)
        due = known is None or (self._clock.now() - known.began).total_seconds() >= self.period
        if due and not fresh and not self._jobs.running(key, JOB):
            self._jobs.start(key, JOB, lambda: self._look(account))
        return known, fresh

    def strike(self, account: Account, deployment: str) -> None:
        """Take a deployment that was seen to be closed out of the newest survey."""
        key = Key(kind=ACCOUNT.kind, namespace="", name=account.meta.name)
        known = self._known.get(key)
        if known is not None:
            kept = tuple(each for each in known.deployments if each.id != deployment)
            self._known[key] = replace(known, deployments=kept)

    def _folded(self, value: object, error: Exception | None, old: Survey | None) -> Survey:
        if isinstance(value, Survey):
            return value
        problem = error if isinstance(error, GarrisonError) else GarrisonError(str(error))
        return Survey(
            began=self._clock.now(),
            deployments=(),
            providers=old.providers if old else (),
            balance=old.balance if old else None,
            endpoints=old.endpoints if old else (),
            error=problem,
        )

    async def _look(self, account: Account) -> Survey:
        began = self._clock.now()
        exchange = await self._exchanges.of(account)
        deployments = tuple(await exchange.market.open_deployments())
        return Survey(
            began=began,
            deployments=deployments,
            balance=await exchange.market.balance(),
            mintage=await _mintage(account, exchange),
            providers=tuple(await exchange.market.providers()),
            endpoints=tuple(exchange.market.endpoints()),
        )


async def _mintage(account: Account, exchange: Exchange) -> Mintage | None:
    """What can be minted, None when nobody wants to know or it cannot be read now."""
    if exchange.minter is None or not is_asked_for(account):
        return None
    try:
        return await exchange.minter.mintage()
    except TransientError:
        return None
