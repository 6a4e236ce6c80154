"""What was made for one attempt of a lease comes back for that attempt, and for no other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from garrison.adapters.memory.clock import LoopClock
from garrison.adapters.memory.kube import MemoryKube, register
from garrison.adapters.memory.logins import MemoryLogins
from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.registry.kept_logins import KubeKeptLogins
from garrison.api.meta import LABEL_LEASE, LABEL_MANAGED_BY, MANAGED_BY, SECRET
from garrison.ports.logins import KeptLogin, KeptLogins, ProviderLogin
from garrison.ports.registry import Credentials
from kube_light.resource import NAMESPACE
from kube_light.store import Store

asyncio.set_event_loop(None)
"""Else the first synchronous test makes a loop, through looptime's plugin, that nobody closes."""

SYSTEM = "garrison-system"
LOGIN = ProviderLogin(
    credentials=Credentials(username="oauth2accesstoken", password="ya29.short"),
    until=datetime(2026, 11, 26, 8, 0, 1, tzinfo=UTC),
)
KEPT = KeptLogin(lease="uid-1", attempt=2, login=LOGIN)


async def cluster() -> MemoryKube:
    """A cluster with the operator's namespace, and a Secret there of another sort."""
    store = Store()
    register(store, [SECRET])
    store.create(NAMESPACE, {"metadata": {"name": SYSTEM}})
    kube = MemoryKube(store)
    meta = {"name": "bootstrap-1", "namespace": SYSTEM}
    labels = {LABEL_MANAGED_BY: MANAGED_BY, LABEL_LEASE: "uid-9"}
    await kube.create(SECRET, {"metadata": {**meta, "labels": labels}, "type": "other"})
    return kube


@pytest.fixture(params=["memory", "kube"])
async def kept(request: pytest.FixtureRequest) -> KeptLogins:
    if request.param == "memory":
        return MemoryLogins(MemoryMarket(clock=LoopClock(), providers=()))
    return KubeKeptLogins(kube=await cluster(), namespace=SYSTEM)


async def test_it_comes_back_for_its_attempt_only(kept: KeptLogins) -> None:
    assert await kept.find("uid-1", 2) is None
    await kept.keep(KEPT)
    assert await kept.find("uid-1", 2) == LOGIN
    assert await kept.find("uid-1", 1) is None
    assert await kept.find("uid-2", 2) is None
    assert await kept.leases() == ["uid-1"]


async def test_a_newer_one_takes_its_place(kept: KeptLogins) -> None:
    await kept.keep(KEPT)
    newer = replace(LOGIN, credentials=Credentials(username="oauth2accesstoken", password="next"))
    await kept.keep(replace(KEPT, attempt=3, login=newer))
    assert await kept.find("uid-1", 2) is None
    assert await kept.find("uid-1", 3) == newer
    assert await kept.leases() == ["uid-1"]


async def test_it_is_gone_once_it_is_discarded(kept: KeptLogins) -> None:
    await kept.keep(KEPT)
    await kept.discard("uid-1")
    await kept.discard("uid-1")
    assert await kept.find("uid-1", 2) is None
    assert await kept.leases() == []
