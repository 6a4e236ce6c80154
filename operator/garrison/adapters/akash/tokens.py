"""Tokens for provider gateways (AEP-64): one lease, one provider, two rights, minutes long.

A wider token would be a bearer credential at every provider that the account rents from.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from garrison.adapters.akash.answers import TOKEN, understood
from garrison.adapters.akash.client import ConsoleClient
from garrison.adapters.akash.memo import Memo
from garrison.adapters.akash.sdl import SERVICE
from garrison.ports.clock import Clock
from garrison.ports.market import LeaseTarget

LIFETIME = timedelta(minutes=10)
MARGIN = timedelta(minutes=1)
SCOPE = ("send-manifest", "status")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    text: str
    until: datetime


class LeaseTokens:
    """Has Console sign tokens, and keeps each until shortly before it ends."""

    def __init__(self, *, client: ConsoleClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._kept: Memo[_Token] = Memo(1000)
        self._lock = asyncio.Lock()

    async def of(self, target: LeaseTarget) -> str:
        """Return a valid token for a lease. Raises what the Console API raises."""
        async with self._lock:
            kept = self._kept.get(_key(target))
            if kept is None or kept.until <= self._clock.now():
                kept = await self._fresh(target)
                self._kept.keep(_key(target), kept)
            return kept.text

    def drop(self, target: LeaseTarget) -> None:
        """Forget a token that the provider refuses."""
        self._kept.drop(_key(target))

    async def _fresh(self, target: LeaseTarget) -> _Token:
        asked_at = self._clock.now()
        data = {"ttl": int(LIFETIME.total_seconds()), "leases": _rights(target)}
        raw = await self._client.ask("/v1/create-jwt-token", {"data": data})
        text = understood(TOKEN, raw, "a provider token").data.token
        return _Token(text=text, until=asked_at + LIFETIME - MARGIN)


def _rights(target: LeaseTarget) -> dict[str, Any]:
    deployment = {
        "dseq": int(target.deployment),
        "gseq": target.gseq,
        "oseq": target.oseq,
        "scope": list(SCOPE),
        "services": [SERVICE],
    }
    permission = {
        "provider": target.provider,
        "access": "granular",
        "deployments": [deployment],
    }
    return {"access": "granular", "permissions": [permission]}


def _key(target: LeaseTarget) -> str:
    return f"{target.provider}/{target.deployment}/{target.gseq}/{target.oseq}"
