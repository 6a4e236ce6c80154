"""Every test runs against both."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.sentinel.post import MemoryPost, Post, RealPost, opened


@pytest.fixture(params=[MemoryPost, RealPost], ids=["memory", "real"])
async def post(request: pytest.FixtureRequest) -> AsyncIterator[Post]:
    async with opened(request.param) as found:
        yield found
