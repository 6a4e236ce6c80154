"""A replica that serves and fails a repeated benchmark: replaced first, closed after."""

from __future__ import annotations

import asyncio

from garrison.api.meta import LEASE, PROVIDER, WORKLOAD
from garrison.ports.kube import Object
from tests.unit.controllers.cluster import Cluster, workload

PERIOD = 60
MEASURED: Object = {"api": "OpenAI", "minTokensPerSecond": 20, "repeatEverySeconds": PERIOD}


async def _serves_from(cluster: Cluster) -> list[str]:
    found = await cluster.leases()
    return sorted(
        each["status"]["provider"]
        for each in found
        if each["status"].get("phase") == "Ready" and not each["metadata"].get("deletionTimestamp")
    )


async def _told(cluster: Cluster, reason: str) -> list[str]:
    return [
        each["note"]
        for body in (*await cluster.leases(), await cluster.get(WORKLOAD, "chat"))
        for each in await cluster.events(body["metadata"]["name"])
        if each["reason"] == reason
    ]


async def test_what_became_slow_serves_until_its_successor_elsewhere_does(cluster: Cluster) -> None:
    await cluster.create(workload(trust="Unverified", benchmark=MEASURED))
    await cluster.serves()
    cluster.prober.slow.add("p0")
    seen = set()

    async def is_replaced() -> bool:
        serving = await _serves_from(cluster)
        seen.add(tuple(serving))
        return serving == ["p1"] and len(await cluster.leases()) == 1

    await cluster.until(is_replaced, "replaced")
    assert () not in seen, "at some moment nothing served"
    await cluster.serves()

    async def is_blamed() -> bool:
        results = (await cluster.get(PROVIDER, "p0"))["status"]["results"]
        return [(each["outcome"], each["reason"]) for each in results] == [
            ("ProviderFault", "BenchmarkFailed")
        ]

    await cluster.until(is_blamed, "blamed, by a record that outlives the lease")
    (told,) = await _told(cluster, "ReplicaFailed")
    assert "serves until a successor" in told


async def test_a_threshold_that_nothing_meets_ends_nothing(cluster: Cluster) -> None:
    """Over a restart, too: attempts end, and what serves goes on."""
    await cluster.create(workload(trust="Unverified", benchmark=MEASURED))
    await cluster.serves()
    (first,) = await cluster.leases()
    await cluster.edit(WORKLOAD, "chat", benchmark={**MEASURED, "minTokensPerSecond": 1000})
    message = await cluster.says(WORKLOAD, "chat", "Stalled", "RevisionFailed")
    assert "thresholds" in message
    await cluster.stop()
    await cluster.start()
    await asyncio.sleep(4 * 3600)
    assert "p0" in await _serves_from(cluster)
    assert (await cluster.get(LEASE, first["metadata"]["name"]))["status"]["phase"] == "Ready"
    assert (await cluster.condition(WORKLOAD, "chat", "Available"))[0] == "True"
    state, reason, message = await cluster.condition(WORKLOAD, "chat", "BenchmarkPassed")
    assert (state, reason) == ("False", "ThresholdsMissed")
    assert "lower the threshold" in message
    ordered = cluster.calls.count("market.create")
    await asyncio.sleep(3600)
    assert cluster.calls.count("market.create") == ordered, "attempts have an end"
    assert len(await _told(cluster, "BenchmarkFailed")) == 1
    await cluster.edit(WORKLOAD, "chat", benchmark={**MEASURED, "minTokensPerSecond": 20})
    await cluster.serves()
    assert await cluster.says(WORKLOAD, "chat", "BenchmarkPassed", "ThresholdsMet")
    assert await _serves_from(cluster) == ["p0"]
