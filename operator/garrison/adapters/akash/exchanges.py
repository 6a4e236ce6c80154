"""Accounts at the Console API, opened once and kept until their spec or Secret changes."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from garrison.adapters.akash.client import ConsoleClient
from garrison.adapters.akash.console import ConsoleMarket
from garrison.adapters.akash.gateway import ProviderGateway
from garrison.adapters.akash.tls import client_context
from garrison.adapters.akash.tokens import ConsoleIssuer, LeaseTokens
from garrison.api.account import Account
from garrison.api.meta import SECRET, SecretKeyRef
from garrison.errors import AuthError, InvalidSpecError
from garrison.ports.clock import Clock
from garrison.ports.kube import Kube
from garrison.ports.market import Exchange
from garrison.ports.probe import Screen

RECHECK = timedelta(seconds=15)
"""How long a Secret that was read is taken for unchanged."""
GRACE = timedelta(minutes=2)
"""How long a replaced exchange stays open for calls that are under way."""
MAX_KEY = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    """What an exchange was built from."""

    uid: str
    generation: int
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    identity: _Identity
    exchange: Exchange
    client: ConsoleClient
    gateway: ProviderGateway
    checked_at: datetime

    async def close(self) -> None:
        await self.client.close()
        await self.gateway.close()


class AkashExchanges:
    """Opens accounts (``ports.market.Exchanges``); API keys are Secrets in ``namespace``."""

    def __init__(self, *, kube: Kube, namespace: str, screen: Screen, clock: Clock) -> None:
        self._kube = kube
        self._namespace = namespace
        self._screen = screen
        self._clock = clock
        self._open: dict[str, _Opened] = {}
        self._retired: list[tuple[datetime, _Opened]] = []
        self._locks: dict[str, asyncio.Lock] = {}

    async def of(self, account: Account) -> Exchange:
        """Return the account's exchange.

        Raises AuthError when the Secret or its key is missing, InvalidSpecError when the key or the
        CA bundle is unusable, and what reading the Secret raises.
        """
        async with self._locks.setdefault(account.meta.name, asyncio.Lock()):
            now = self._clock.now()
            kept = self._open.get(account.meta.name)
            if kept is not None and _is_current(kept, account) and now - kept.checked_at < RECHECK:
                return kept.exchange
            return (await self._checked(account, kept, now)).exchange

    async def close(self) -> None:
        """Close every connection of every account."""
        opened = [*self._open.values(), *(each for _, each in self._retired)]
        self._open.clear()
        self._retired.clear()
        for each in opened:
            await each.close()

    async def _checked(self, account: Account, kept: _Opened | None, now: datetime) -> _Opened:
        secret = await self._secret(account)
        identity = _identity(account, secret)
        if kept is not None and kept.identity == identity:
            opened = replace(kept, checked_at=now)
        else:
            opened = self._build(account, secret, identity, now)
            await self._retire(kept, now)
        self._open[account.meta.name] = opened
        return opened

    async def _retire(self, kept: _Opened | None, now: datetime) -> None:
        over = [each for at, each in self._retired if now - at >= GRACE]
        self._retired = [(at, each) for at, each in self._retired if now - at < GRACE]
        if kept is not None:
            self._retired.append((now, kept))
        for each in over:
            await each.close()

    async def _secret(self, account: Account) -> Mapping[str, Any]:
        reference = account.spec.backend.console.api_key_secret_ref
        secret = await self._kube.get(SECRET, self._namespace, reference.name)
        if secret is None:
            raise AuthError(
                f"Secret {self._namespace}/{reference.name} does not exist; "
                + _remedy(self._namespace, reference)
            )
        return secret

    def _build(
        self, account: Account, secret: Mapping[str, Any], identity: _Identity, now: datetime
    ) -> _Opened:
        console = account.spec.backend.console
        key = _key(secret, console.api_key_secret_ref, self._namespace)
        context = client_context(console.ca_bundle)
        client = ConsoleClient(endpoint=console.endpoint, key=key, context=context)
        market = ConsoleMarket(
            client=client, outcome_horizon=timedelta(seconds=console.outcome_horizon_seconds)
        )
        gateway = ProviderGateway(
            tokens=LeaseTokens(issuer=ConsoleIssuer(client), clock=self._clock),
            screen=self._screen,
            context=context,
            manifest=market.manifest,
            allow_private=account.spec.allow_private_addresses,
        )
        return _Opened(
            identity=identity,
            exchange=Exchange(market=market, gateway=gateway),
            client=client,
            gateway=gateway,
            checked_at=now,
        )


def _is_current(kept: _Opened, account: Account) -> bool:
    identity = kept.identity
    return (identity.uid, identity.generation) == (account.meta.uid, account.meta.generation)


def _identity(account: Account, secret: Mapping[str, Any]) -> _Identity:
    meta = secret["metadata"]
    return _Identity(
        uid=account.meta.uid,
        generation=account.meta.generation,
        secret=f"{meta.get('uid', '')}/{meta.get('resourceVersion', '')}",
    )


def _key(secret: Mapping[str, Any], reference: SecretKeyRef, namespace: str) -> str:
    encoded = (secret.get("data") or {}).get(reference.key)
    where = f"key {reference.key!r} of Secret {namespace}/{reference.name}"
    if not encoded:
        raise AuthError(f"{where} is missing or empty; {_remedy(namespace, reference)}")
    try:
        text = base64.b64decode(encoded, validate=True).decode("ascii").strip()
    except (binascii.Error, ValueError):
        text = ""
    if not text or not text.isprintable() or len(text) > MAX_KEY:
        raise InvalidSpecError(
            f"{where} is not an API key (one line of printable ASCII); "
            + _remedy(namespace, reference)
        )
    return text


def _remedy(namespace: str, reference: SecretKeyRef) -> str:
    return (
        f"create it: kubectl create secret generic {reference.name} -n {namespace} "
        f"--from-literal={reference.key}=API-KEY"
    )
