"""Accounts are opened once, and again when their spec or Secret changes."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from garrison.adapters.akash.exchanges import AkashExchanges
from garrison.adapters.memory.clock import ManualClock
from garrison.adapters.memory.kube import MemoryKube
from garrison.adapters.net.screen import NetScreen
from garrison.api.account import Account, ConsoleBackend
from garrison.api.meta import SECRET, Kind, SecretKeyRef
from garrison.errors import AuthError, InvalidSpecError
from kube_light.store import Store
from tests.builders import account as build_account

NAMESPACE = "garrison-system"
NAMESPACES = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)


class Office:
    """Exchanges with a Secret store and a clock."""

    def __init__(self, kube: MemoryKube) -> None:
        self.kube = kube
        self.clock = ManualClock()
        self.exchanges = AkashExchanges(
            kube=kube, namespace=NAMESPACE, screen=NetScreen(), clock=self.clock
        )

    async def secret(self, data: dict[str, Any]) -> None:
        """Write the account's Secret anew."""
        name = reference(account()).name
        await self.kube.delete(SECRET, NAMESPACE, name)
        metadata = {"name": name, "namespace": NAMESPACE}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
        await self.kube.create(SECRET, body)


def account() -> Account:
    return build_account()


def reference(of: Account) -> SecretKeyRef:
    return console(of).api_key_secret_ref


def console(of: Account) -> ConsoleBackend:
    assert of.spec.backend.console is not None
    return of.spec.backend.console


def encoded(text: str) -> dict[str, str]:
    return {reference(account()).key: base64.b64encode(text.encode()).decode()}


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    kube = MemoryKube(Store())
    await kube.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    found = Office(kube)
    yield found
    await found.exchanges.close()


async def test_the_same_account_gives_the_same_exchange(office: Office) -> None:
    await office.secret(encoded("key\n"))
    first = await office.exchanges.of(account())
    office.clock.advance(timedelta(minutes=1))
    assert await office.exchanges.of(account()) is first
    horizon = console(account()).outcome_horizon_seconds
    assert first.market.traits.outcome_horizon == timedelta(seconds=horizon)


async def test_a_new_generation_gives_a_new_exchange_at_once(office: Office) -> None:
    await office.secret(encoded("key"))
    first = await office.exchanges.of(account())
    meta = replace(account().meta, generation=2)
    assert await office.exchanges.of(replace(account(), meta=meta)) is not first


async def test_a_new_secret_is_seen_within_seconds(office: Office) -> None:
    await office.secret(encoded("key"))
    first = await office.exchanges.of(account())
    await office.secret(encoded("other"))
    assert await office.exchanges.of(account()) is first
    office.clock.advance(timedelta(seconds=15))
    second = await office.exchanges.of(account())
    assert second is not first
    office.clock.advance(timedelta(minutes=3))
    await office.secret(encoded("third"))
    assert await office.exchanges.of(account()) is not second


async def test_a_missing_secret_says_how_to_make_it(office: Office) -> None:
    name = reference(account()).name
    with pytest.raises(AuthError, match=f"kubectl create secret generic {name} -n {NAMESPACE}"):
        await office.exchanges.of(account())
    await office.secret(encoded("key"))
    await office.exchanges.of(account())


@pytest.mark.parametrize("data", [{}, {"other": "eA=="}, {"key": ""}])
async def test_a_missing_key_names_secret_and_key(office: Office, data: dict[str, str]) -> None:
    await office.secret(data)
    with pytest.raises(AuthError, match=rf"key '{reference(account()).key}' of Secret"):
        await office.exchanges.of(account())


@pytest.mark.parametrize("text", ["two\nlines", "schlüssel", " ", "x" * 5000])
async def test_what_is_no_key_is_refused_and_not_shown(office: Office, text: str) -> None:
    await office.secret(encoded(text))
    with pytest.raises(InvalidSpecError) as caught:
        await office.exchanges.of(account())
    assert text.strip() == "" or text not in str(caught.value)


async def test_an_unusable_bundle_is_refused(office: Office) -> None:
    await office.secret(encoded("key"))
    spec = account().spec
    backend = replace(spec.backend, console=replace(console(account()), ca_bundle="x"))
    with pytest.raises(InvalidSpecError, match="caBundle"):
        await office.exchanges.of(replace(account(), spec=replace(spec, backend=backend)))
