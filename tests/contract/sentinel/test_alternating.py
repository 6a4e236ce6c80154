"""A copy that answers every other connection is seen, wherever in the sealed start it begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from garrison.errors import UnavailableError
from garrison.ports.sentinel import Door
from tests.contract.sentinel.post import RealPost, enrolled, opened
from tests.contract.sentinel.test_sealed_start import NOTHING

LOOKS = 3


@pytest.fixture
async def real() -> AsyncIterator[RealPost]:
    """Real containers behind a pipe of the provider's."""
    async with opened(RealPost) as post:
        assert isinstance(post, RealPost)
        yield post


async def doubled(post: RealPost, door: Door) -> bool:
    """Return whether a look shows two instances."""
    return len({each.instance for each in await post.sentinel.look(door)}) > 1


async def test_looks_and_enrolments_that_always_meet_another_one(real: RealPost) -> None:
    """The provider counts: every look meets the one, every enrolment the other."""
    door = await real.door()
    await real.alternate()
    await real.sentinel.look(door)
    await enrolled(real, door)
    assert await doubled(real, door)


async def test_looks_and_calls_that_always_meet_another_one(real: RealPost) -> None:
    door = await enrolled(real, await real.door())
    await real.alternate()
    seen = False
    for _ in range(LOOKS):
        seen = seen or await doubled(real, door)
        try:
            await real.sentinel.set_egress(door, 1, NOTHING)
        except UnavailableError:
            continue
    assert seen


async def test_both_are_sealed_whichever_the_provider_shows(real: RealPost) -> None:
    """The kept connection leads to the one, and so do the three that are made next."""
    door = await enrolled(real, await real.door())
    await real.alternate(3)
    for _ in range(4):
        if await doubled(real, door):
            break
    await real.sentinel.seal(door, "SecondSession")
    reasons: dict[str, str] = {}
    for _ in range(2 * LOOKS):
        reasons |= {
            each.instance: each.sealed_because
            for each in await real.sentinel.look(await real.door())
        }
    assert len(reasons) == 2
    assert set(reasons.values()) == {"SecondSession"}


async def test_nothing_is_sealed_where_there_is_one(real: RealPost) -> None:
    door = await enrolled(real, await real.door())
    assert not await doubled(real, door)
    await real.restart()
    assert not await doubled(real, replace(door, instance=None, key=None))
