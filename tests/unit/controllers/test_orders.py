"""Orders that do not go through at once: none is placed twice, none waits longer than it must."""

from __future__ import annotations

import asyncio

import pytest

from garrison.errors import RateLimitedError
from tests.unit.controllers.cluster import Cluster, workload


async def test_an_order_that_was_not_taken_is_placed_again_soon(cluster: Cluster) -> None:
    """The market asked for fewer calls: nothing was ordered, so there is no outcome to wait for."""
    cluster.broken["market.create"] = RateLimitedError("too many requests", retry_after=3.0)
    await cluster.create(workload())
    await asyncio.sleep(10)
    assert cluster.calls.count("market.create") > 1
    del cluster.broken["market.create"]
    since = asyncio.get_running_loop().time()
    await cluster.serves()
    assert asyncio.get_running_loop().time() - since < cluster.market.traits.outcome_horizon.seconds
    assert len(cluster.market.deployments) == 1


@pytest.mark.parametrize("keeps_ids", [True, False])
async def test_a_lost_order_is_found_though_the_market_renamed_it(*, keeps_ids: bool) -> None:
    cluster = Cluster(chooses_id=True, keeps_ids=keeps_ids)
    cluster.lost.add("market.create")
    await cluster.open()
    await cluster.create(workload())
    await cluster.serves()
    assert not cluster.lost
    assert len(cluster.market.deployments) == 1
    await cluster.stop()
