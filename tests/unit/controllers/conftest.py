"""The controllers on an API server and a market in memory, under virtual time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from tests.unit.controllers.cluster import Cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """An hour of waiting takes no time at all; it begins when the fixtures are ready."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.looptime(noop_cycles=0, start=time.monotonic))


@pytest.fixture
async def cluster(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Cluster]:
    """An account, three providers, and an operator that runs; at the end none of its passes crashed."""
    cluster = Cluster()
    await cluster.open()
    yield cluster
    await cluster.stop()
    told = [each.getMessage() for each in caplog.get_records("call")]
    assert [each for each in told if "bug in Garrison" in each] == []
