"""Tokens for provider gateways (AEP-64): one lease, one provider, named rights, minutes long.

A wider token would be a bearer credential at every provider that the account rents from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from weakref import WeakValueDictionary

from garrison.adapters.akash.answers import TOKEN, understood
from garrison.adapters.akash.client import ConsoleClient
from garrison.adapters.akash.memo import Memo
from garrison.adapters.akash.orders import SERVICE
from garrison.ports.clock import Clock
from garrison.ports.market import LeaseTarget

LIFETIME = timedelta(minutes=10)
MARGIN = timedelta(minutes=1)
MANAGING = ("send-manifest", "status")
READING = ("get-manifest",)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    text: str
    until: datetime


class Issuer(Protocol):
    """Whoever signs for the account: its wallet, or the Console API with the wallet it keeps."""

    async def issue(self, leases: Mapping[str, Any], lifetime: timedelta) -> str:
        """Return a token with the rights ``leases``, good from now on."""


class ConsoleIssuer:
    """Has the Console API sign tokens (``Issuer``)."""

    def __init__(self, client: ConsoleClient) -> None:
        self._client = client

    async def issue(self, leases: Mapping[str, Any], lifetime: timedelta) -> str:
        """Return a signed token. Raises what the Console API raises."""
        data = {"ttl": int(lifetime.total_seconds()), "leases": leases}
        raw = await self._client.ask("/v1/create-jwt-token", {"data": data})
        return understood(TOKEN, raw, "a provider token").data.token


class LeaseTokens:
    """Has tokens signed, and keeps each until shortly before it ends."""

    def __init__(self, *, issuer: Issuer, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._kept: Memo[_Token] = Memo(1000)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def of(self, target: LeaseTarget, scopes: tuple[str, ...] = MANAGING) -> str:
        """Return a valid token for a lease, asked for once. Raises what its issuer raises."""
        key = _key(target, scopes)
        async with self._locks.setdefault(key, asyncio.Lock()):
            kept = self._kept.get(key)
            if kept is None or kept.until <= self._clock.now():
                kept = await self._fresh(target, scopes)
                self._kept.keep(key, kept)
            return kept.text

    def drop(self, target: LeaseTarget) -> None:
        """Forget the tokens that the provider refuses."""
        for scopes in (MANAGING, READING):
            self._kept.drop(_key(target, scopes))

    async def _fresh(self, target: LeaseTarget, scopes: tuple[str, ...]) -> _Token:
        asked_at = self._clock.now()
        text = await self._issuer.issue(rights(target, *scopes), LIFETIME)
        return _Token(text=text, until=asked_at + LIFETIME - MARGIN)


def rights(target: LeaseTarget, *scopes: str) -> dict[str, Any]:
    """Return the claim that permits ``scopes`` for one lease at its provider, and nothing else."""
    deployment = {
        "dseq": int(target.deployment),
        "gseq": target.gseq,
        "oseq": target.oseq,
        "scope": list(scopes),
        "services": [target.service or SERVICE],
    }
    permission = {
        "provider": target.provider,
        "access": "granular",
        "deployments": [deployment],
    }
    return {"access": "granular", "permissions": [permission]}


def _key(target: LeaseTarget, scopes: tuple[str, ...]) -> str:
    lease = f"{target.provider}/{target.deployment}/{target.gseq}/{target.oseq}"
    return f"{lease} {' '.join(scopes)}"
