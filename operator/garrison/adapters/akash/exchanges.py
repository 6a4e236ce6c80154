"""Accounts, opened once and kept until their spec or Secret changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from garrison.adapters.akash.opening import Opened, Opener, credential_of
from garrison.api.account import Account
from garrison.ports.clock import Clock
from garrison.ports.kube import Kube
from garrison.ports.market import Exchange
from garrison.ports.probe import Screen

RECHECK = timedelta(seconds=15)
"""How long a Secret that was read is taken for unchanged."""
GRACE = timedelta(minutes=2)
"""How long a replaced exchange stays open for calls that are under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    """What an exchange was built from."""

    uid: str
    generation: int
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    identity: _Identity
    opened: Opened
    checked_at: datetime


class AkashExchanges:
    """Opens accounts (``ports.market.Exchanges``); credentials are Secrets in ``namespace``."""

    def __init__(self, *, kube: Kube, namespace: str, screen: Screen, clock: Clock) -> None:
        self._kube = kube
        self._namespace = namespace
        self._opener = Opener(screen=screen, clock=clock)
        self._clock = clock
        self._open: dict[str, _Kept] = {}
        self._retired: list[tuple[datetime, _Kept]] = []
        self._locks: dict[str, asyncio.Lock] = {}

    async def of(self, account: Account) -> Exchange:
        """Return the account's exchange.

        Raises AuthError when the Secret or its key is missing, InvalidSpecError when the credential or
        the CA bundle is unusable, and what reading the Secret raises.
        """
        async with self._locks.setdefault(account.meta.name, asyncio.Lock()):
            now = self._clock.now()
            kept = self._open.get(account.meta.name)
            if kept is not None and _is_current(kept, account) and now - kept.checked_at < RECHECK:
                return kept.opened.exchange
            return (await self._checked(account, kept, now)).opened.exchange

    async def close(self) -> None:
        """Close every connection of every account."""
        opened = [*self._open.values(), *(each for _, each in self._retired)]
        self._open.clear()
        self._retired.clear()
        for each in opened:
            await each.opened.close()

    async def _checked(self, account: Account, kept: _Kept | None, now: datetime) -> _Kept:
        credential = credential_of(account, self._namespace)
        secret = await credential.secret(self._kube)
        identity = _identity(account, secret)
        if kept is not None and kept.identity == identity:
            current = replace(kept, checked_at=now)
        else:
            opened = self._opener.open(account, credential.text(secret))
            current = _Kept(identity=identity, opened=opened, checked_at=now)
            await self._retire(kept, now)
        self._open[account.meta.name] = current
        return current

    async def _retire(self, kept: _Kept | None, now: datetime) -> None:
        over = [each for at, each in self._retired if now - at >= GRACE]
        self._retired = [(at, each) for at, each in self._retired if now - at < GRACE]
        if kept is not None:
            self._retired.append((now, kept))
        for each in over:
            await each.opened.close()


def _is_current(kept: _Kept, account: Account) -> bool:
    identity = kept.identity
    return (identity.uid, identity.generation) == (account.meta.uid, account.meta.generation)


def _identity(account: Account, secret: Mapping[str, Any]) -> _Identity:
    meta = secret["metadata"]
    return _Identity(
        uid=account.meta.uid,
        generation=account.meta.generation,
        secret=f"{meta.get('uid', '')}/{meta.get('resourceVersion', '')}",
    )
