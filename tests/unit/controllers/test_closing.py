"""A lease that is over stays until its provider's record holds how it went, and not longer."""

from __future__ import annotations

import asyncio

from garrison.api.meta import PROVIDER, WORKLOAD
from tests.unit.controllers.cluster import Cluster, workload

WRITE_SECONDS = 5.0


async def test_a_record_written_late_lets_the_lease_go_at_once(cluster: Cluster) -> None:
    await cluster.create(workload())
    await cluster.serves()
    (lease,) = await cluster.leases()
    cluster.slow[PROVIDER.kind] = WRITE_SECONDS
    began = asyncio.get_running_loop().time()
    await cluster.delete(WORKLOAD, "chat")

    async def is_gone() -> bool:
        return not await cluster.leases()

    await cluster.until(is_gone, "without leases")
    took = asyncio.get_running_loop().time() - began
    assert WRITE_SECONDS < took < 3 * WRITE_SECONDS
    record = await cluster.get(PROVIDER, lease["status"]["provider"])
    assert [each["lease"] for each in record["status"]["results"]] == [lease["metadata"]["uid"]]
