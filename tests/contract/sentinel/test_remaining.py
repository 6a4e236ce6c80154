"""Connections that live on through a change of policy: told for as long as they do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from akash_sandbox.netns import _setns  # the one call that Python 3.11 lacks
from garrison.api.egress import Allow, EgressPolicySpec
from garrison.ports.sentinel import Door, EgressView
from tests.contract.sentinel.post import MemoryPost, Post, RealPost, enrolled, opened
from tests.sentinel.guard.netns import ALLOWED, unavailable, wire

PORT = 80
NOTHING = EgressPolicySpec(require_enforced=False)
THERE = EgressPolicySpec(
    require_enforced=False, allow=(Allow(cidr=f"{ALLOWED}/32", ports=(PORT,)),)
)
_CLONE_NEWNET = 0x40000000


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Have this thread, and what it starts, in a network where ``ALLOWED`` answers."""
    with wire(folder, "c") as made:
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        near = os.open(f"/run/netns/{made.near}", os.O_RDONLY)
        try:
            _setns(near, _CLONE_NEWNET)
            yield
        finally:
            _setns(before, _CLONE_NEWNET)
            os.close(near)
            os.close(before)


@pytest.fixture(params=[MemoryPost, RealPost], ids=["memory", "real"])
async def post(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Post]:
    real = request.param is RealPost
    if real and (why := unavailable()):
        pytest.skip(why)
    with inside(tmp_path) if real else nullcontext():
        async with opened(request.param) as found:
            yield found


async def seen(post: Post, door: Door) -> EgressView:
    """What the guard of the one instance that answers says."""
    (view,) = await post.sentinel.look(door)
    assert view.egress is not None
    return view.egress


async def test_a_connection_that_cannot_be_closed_is_told_until_it_is_gone(post: Post) -> None:
    door = await enrolled(post, await post.door())
    before = await post.sentinel.set_egress(door, 1, THERE)
    assert before.remaining == ()
    await post.sentinel.start(door, post.clings(ALLOWED, PORT))
    await post.clinging()
    assert (await seen(post, door)).remaining == ()
    told = await post.sentinel.set_egress(door, 2, NOTHING)
    assert told.remaining == (f"{ALLOWED}:{PORT}",)
    assert told.level != "Enforced"
    again = await seen(post, door)
    assert (again.version, again.remaining, again.level) == (2, told.remaining, told.level)
    post.let_go()
    assert (await gone(post, door)).level == before.level


async def gone(post: Post, door: Door) -> EgressView:
    """The guard's word once nothing lives on any more."""
    for _ in range(1000):
        view = await seen(post, door)
        if not view.remaining:
            return view
        await asyncio.sleep(0.02)
    raise AssertionError("it is still told")
