"""Authorities are renewed while a real container knows only those of its bootstrap."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from garrison.adapters.sentinel.authority import LEASE_CA, OPERATOR_CA
from garrison.adapters.sentinel.tenure import LIFE, OVERLAP, PREPARE_BEFORE_END
from garrison.api.egress import EgressPolicySpec
from garrison.errors import UnavailableError
from garrison.ports.identity import Peer
from garrison.ports.sentinel import SentinelState
from tests.contract.sentinel.post import SECRET, RealPost, enrolled
from tests.unit.adapters.sentinel.given import issued, put
from tests.unit.adapters.sentinel.trust import LEASE, Hand, Trust, trust

YEARS = timedelta(days=1000)
"""Longer than any authority of Garrison's own lives."""


async def reloaded(found: Trust) -> None:
    """Let both authorities be read again."""
    await found.operator.current()
    await found.leases.current()


async def own(found: Trust) -> None:
    """Two years and more pass, and each authority is renewed in time."""
    for wait in (LIFE - PREPARE_BEFORE_END, OVERLAP):
        found.clock.move(wait)
        await reloaded(found)
    found.clock.move(YEARS - LIFE + PREPARE_BEFORE_END - OVERLAP)
    await reloaded(found)


async def given(found: Trust) -> None:
    """The same time passes while somebody else renews intermediates, at last under another root."""
    for wait in (timedelta(days=700), YEARS - timedelta(days=700) - OVERLAP):
        found.clock.move(wait)
        now = found.clock.now()
        for name in (OPERATOR_CA, LEASE_CA):
            root = issued(f"root of {name}", now, timedelta(days=900))
            await put(found.kube, name, issued("acme", now, timedelta(days=720), root), root)
        await reloaded(found)
    found.clock.move(OVERLAP)
    await reloaded(found)


@contextlib.asynccontextmanager
async def aged(case: str) -> AsyncIterator[RealPost]:
    """A container that was leased 1000 days ago, by authorities that all have ended."""
    found = trust(clock=Hand(at=datetime.now(UTC) - YEARS))
    if case == "given":
        for name in (OPERATOR_CA, LEASE_CA):
            await put(found.kube, name, issued("acme", found.clock.now(), timedelta(days=720)))
    before = (await found.operator.current()).trusted
    post = RealPost(found)
    try:
        await post.open()
        await (own if case == "own" else given)(found)
        assert not set(before) & set((await found.operator.current()).trusted)
        yield post
    finally:
        await post.close()


@pytest.mark.parametrize("case", ["own", "given"])
async def test_a_container_that_restarts_is_enrolled_and_serves(case: str) -> None:
    async with aged(case) as post:
        await post.restart()
        door = await enrolled(post, await post.door())
        await post.sentinel.set_egress(door, 1, EgressPolicySpec(require_enforced=False))
        await post.sentinel.start(door, post.launch())
        (view,) = await post.sentinel.look(door)
        assert view.state is SentinelState.RUNNING
        assert door.key is not None
        context = await post.identities.context(Peer(lease=LEASE, key=door.key))
        reader, writer = await asyncio.open_connection("127.0.0.1", post.ports.data, ssl=context)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert b" 200 " in await reader.readline()
        writer.close()


async def test_a_bootstrap_enrols_nobody_once_it_was_discarded() -> None:
    post = RealPost()
    try:
        await post.open()
        door = await post.door()
        await post.sentinel.look(door)
        await post.bootstraps.discard(SECRET)
        with pytest.raises(UnavailableError, match="closed"):
            await post.sentinel.enrol(door)
    finally:
        await post.close()
