"""A deployment that somebody else started becomes a replica, whatever happens on the way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from garrison.adapters.memory.records import DeploymentRecord
from garrison.api.meta import ACCOUNT, EVENT, LEASE, WORKLOAD
from garrison.api.money import MicroUSD
from garrison.core.marker import Marker
from garrison.ports.kube import Object
from garrison.ports.market import GpuAsk, Order
from tests.builders import IMAGE, INSTALLATION
from tests.unit.controllers.cluster import Cluster, workload

OTHER = IMAGE[:-1] + "b"
ORDER = Order(
    marker="dcloud",
    image=IMAGE,
    ports=(8000,),
    cpu_millis=1000,
    memory_bytes=1 << 30,
    storage_bytes=1 << 30,
    gpu=GpuAsk(vendor="nvidia", model="h100", count=1),
    max_price_per_hour=MicroUSD(2_000_000),
    deposit=MicroUSD(5_000_000),
)


def adopting(running: DeploymentRecord, name: str = "chat", **spec: Any) -> Object:
    """A workload that takes over a deployment."""
    wish = {"adopt": {"deployment": running.id}, "trust": "Unverified"}
    return workload(name, **{**wish, **spec})


def untouched(cluster: Cluster, running: DeploymentRecord) -> bool:
    """Whether a deployment runs as it did, and nobody sent it anything."""
    lease = running.lease
    assert lease is not None
    assert lease.manifest is not None
    is_first = lease.manifest == (running.since, running.order)
    return is_first and running in cluster.market.paid() and lease.closed is None


async def test_what_runs_becomes_the_replica_and_nothing_is_ordered_or_sent(
    cluster: Cluster,
) -> None:
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running))
    await cluster.serves()
    (lease,) = await cluster.leases()
    assert lease["spec"]["adopts"] == {"deployment": running.id}
    assert lease["status"]["deployment"]["id"] == running.id
    assert (lease["status"]["provider"], lease["status"]["pricePerHour"]) == ("p1", "1.10")
    assert lease["status"]["endpoint"]["host"] == "p1.example"
    assert untouched(cluster, running)
    orders = {"market.create", "market.accept", "gateway.send_manifest", "market.close"}
    assert orders.isdisjoint(cluster.calls)
    message = (await cluster.condition(LEASE, lease["metadata"]["name"], "Ready"))[2]
    assert f"adopted deployment {running.id}, unverified" in message
    status = (await cluster.get(ACCOUNT, "treasury"))["status"]
    assert (status["openLeases"], status["burnPerHour"]) == (1, "1.10")
    assert not status.get("strangers")


async def test_deleting_the_workload_closes_it_and_verifies_that(cluster: Cluster) -> None:
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running))
    await cluster.serves()
    await cluster.delete(WORKLOAD, "chat")

    async def is_gone() -> bool:
        return await cluster.kube.get(WORKLOAD, "prod", "chat") is None

    await cluster.until(is_gone, "the workload is gone")
    assert cluster.market.paid() == []
    assert not (await cluster.get(ACCOUNT, "treasury"))["status"].get("grants")


async def test_an_update_replaces_it_only_once_another_replica_serves(cluster: Cluster) -> None:
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running))
    await cluster.serves()
    await cluster.edit(WORKLOAD, "chat", trust="Verified")
    order: list[str] = []

    async def is_replaced() -> bool:
        leases = await cluster.leases()
        others = [each for each in leases if not each["spec"].get("adopts")]
        if any(each.get("status", {}).get("phase") == "Ready" for each in others):
            order.append("served")
        if running.closed is not None:
            order.append("closed")
        return "closed" in order

    await cluster.until(is_replaced, "the adopted one is replaced")
    assert order[0] == "served"
    await cluster.serves()
    (kept,) = cluster.market.paid()
    assert kept is not running


async def test_a_failure_after_it_served_orders_a_replacement(cluster: Cluster) -> None:
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running))
    await cluster.serves()
    cluster.market.close_lease(running.id, "lease_closed_unstable")

    async def is_replaced() -> bool:
        return [each.id for each in cluster.market.paid()] not in ([], [running.id])

    await cluster.until(is_replaced, "another is ordered")
    await cluster.serves()
    (lease,) = await cluster.leases()
    assert "adopts" not in lease["spec"]


async def test_more_replicas_are_ordered_only_after_the_adoption(cluster: Cluster) -> None:
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running, replicas=2))
    await cluster.serves()
    assert len(cluster.market.paid()) == 2
    assert untouched(cluster, running)
    assert cluster.calls.count("market.create") == 1


async def test_an_edit_before_it_is_healthy_closes_nothing(cluster: Cluster) -> None:
    running = cluster.market.start_by_hand(ORDER, "p1")
    cluster.prober.sick.add(running.id)
    await cluster.create(adopting(running, health={"startupGraceSeconds": 5}))

    async def is_told() -> bool:
        leases = await cluster.leases()
        return any("StartupFailed" in str(each.get("status", {}).get("health")) for each in leases)

    await cluster.until(is_told, "it is told that nothing answers")
    assert untouched(cluster, running)
    (lease,) = await cluster.leases()
    message = (await cluster.condition(LEASE, lease["metadata"]["name"], "Ready"))[2]
    assert "not given up for StartupFailed" in message
    await cluster.edit(WORKLOAD, "chat", image=OTHER)

    async def is_second_ready() -> bool:
        phases = [each.get("status", {}).get("phase") for each in await cluster.leases()]
        assert "Ready" in phases or running.closed is None
        return "Ready" in phases

    await cluster.until(is_second_ready, "another serves")
    cluster.prober.sick.clear()
    await cluster.serves()


def _closed(cluster: Cluster, running: DeploymentRecord) -> None:
    running.closed = cluster.clock.now()


def _leaseless(cluster: Cluster, running: DeploymentRecord) -> None:
    del cluster
    running.lease = None


def _ours(cluster: Cluster, running: DeploymentRecord) -> None:
    del cluster
    marker = Marker(
        installation=INSTALLATION, lease="0" * 8 + "-0000" * 3 + "-" + "0" * 12, attempt=0
    )
    running.order = replace(running.order, marker=str(marker))


def _gone(cluster: Cluster, running: DeploymentRecord) -> None:
    del cluster.market.deployments[running.id]


def _dear(cluster: Cluster, running: DeploymentRecord) -> None:
    del cluster
    assert running.lease is not None
    running.lease.price = MicroUSD(19_000_000)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_closed, "it is closed; remove spec.adopt"),
        (_leaseless, "it has 0 open leases"),
        (_ours, "managed by Garrison already"),
        (_gone, "the account has no such deployment"),
        (
            _dear,
            "it costs 19.00 $/h and the ceiling is 4.00 $/h; raise spec.budget.maxPricePerHour",
        ),
    ],
)
async def test_what_cannot_be_adopted_is_left_alone_and_nothing_is_ordered_instead(
    cluster: Cluster, spoil: Any, told: str
) -> None:
    await cluster.edit(ACCOUNT, "treasury", orphans="Report")
    running = cluster.market.start_by_hand(ORDER, "p1")
    spoil(cluster, running)
    was_closed = running.closed
    await cluster.create(adopting(running))
    message = await cluster.says(WORKLOAD, "chat", "Stalled", "AdoptionRefused")
    assert told in message
    assert "was not touched" in message
    assert running.closed == was_closed
    assert {"market.create", "market.close"}.isdisjoint(cluster.calls)


async def test_a_tenant_takes_over_nothing_that_the_account_does_not_offer(
    cluster: Cluster,
) -> None:
    await cluster.edit(ACCOUNT, "treasury", adoption="Deny")
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running))
    message = await cluster.says(WORKLOAD, "chat", "Stalled", "AdoptionRefused")
    assert "has spec.adoption: Deny" in message
    await cluster.delete(WORKLOAD, "chat")
    await cluster.until(lambda: _is_gone(cluster), "the workload is gone")
    assert untouched(cluster, running)


async def _is_gone(cluster: Cluster) -> bool:
    return await cluster.kube.get(WORKLOAD, "prod", "chat") is None


async def test_one_deployment_is_adopted_by_one_workload(cluster: Cluster) -> None:
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running, "chat"))
    await cluster.create(adopting(running, "talk"))
    names = {"chat", "talk"}

    async def is_decided() -> bool:
        reasons = [(await cluster.condition(WORKLOAD, each, "Stalled"))[1] for each in names]
        return "AdoptionRefused" in reasons

    await cluster.until(is_decided, "one of two is refused")
    owners = [each for each in await cluster.leases() if each["status"].get("deployment")]
    assert len(owners) == 1
    assert untouched(cluster, running)
    assert "market.create" not in cluster.calls


async def removed_by_force(cluster: Cluster) -> None:
    """Take the object of the one lease away, as ``kubectl patch`` and ``delete --force`` do."""
    (lease,) = await cluster.leases()
    meta = lease["metadata"]
    await cluster.kube.replace_finalizers(
        LEASE, "prod", meta["name"], finalizers=(), resource_version=meta["resourceVersion"]
    )
    await cluster.delete(LEASE, meta["name"])


async def test_one_whose_lease_is_removed_by_force_is_known_and_closed(cluster: Cluster) -> None:
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running))
    await cluster.serves()
    (lease,) = await cluster.leases()
    name = f"prod/{lease['metadata']['name']}"
    status = (await cluster.get(ACCOUNT, "treasury"))["status"]
    assert [(each["deployment"], each["lease"]) for each in status["adopted"]] == [
        (running.id, name)
    ]
    await removed_by_force(cluster)

    async def is_over() -> bool:
        status = (await cluster.get(ACCOUNT, "treasury"))["status"]
        return running.closed is not None and not status.get("adopted")

    await cluster.until(is_over, "it is closed and forgotten")
    told = [each["note"] for each in await cluster.kube.list(EVENT)]
    assert any(f"was adopted by AkashLease {name}, which is gone" in each for each in told), told
    await cluster.serves()
    assert [each.id for each in cluster.market.paid()] != [running.id]


async def test_one_whose_lease_is_removed_by_force_is_only_reported_where_a_person_wants_it_so(
    cluster: Cluster,
) -> None:
    await cluster.edit(ACCOUNT, "treasury", orphans="Report")
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running))
    await cluster.serves()
    await removed_by_force(cluster)
    assert running.id in await cluster.says(ACCOUNT, "treasury", "NoOrphans", "Orphans")
    await asyncio.sleep(600)
    assert untouched(cluster, running)


async def test_one_that_is_let_go_on_purpose_is_not_closed(cluster: Cluster) -> None:
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running, deletionPolicy="Orphan"))
    await cluster.serves()
    await cluster.delete(WORKLOAD, "chat")
    await cluster.until(lambda: _is_gone(cluster), "the workload is gone")
    await asyncio.sleep(600)
    assert untouched(cluster, running)
    status = (await cluster.get(ACCOUNT, "treasury"))["status"]
    assert [each["kind"] for each in status["strangers"]] == ["Released"]


async def test_an_agent_cannot_be_in_what_runs_already(cluster: Cluster) -> None:
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running, trust="Verified"))
    message = await cluster.says(WORKLOAD, "chat", "Stalled", "AdoptionIsUnverified")
    assert "set spec.trust: Unverified" in message
    await cluster.edit(WORKLOAD, "chat", trust="Unverified")
    await cluster.serves()
    assert untouched(cluster, running)


async def test_a_crash_at_any_call_leaves_it_untouched_or_adopted(cluster: Cluster) -> None:
    """The operator dies at the nth call of a port, before or after its effect; another one goes on."""
    running = cluster.market.start_by_hand(ORDER, "p1")
    await cluster.create(adopting(running))
    for call in range(1, 60):
        await cluster.dies_at_call(call)
        assert untouched(cluster, running)
        await cluster.start()
    await cluster.serves()
    assert untouched(cluster, running)
    assert len(await cluster.leases()) == 1
    assert {"market.create", "market.close", "gateway.send_manifest"}.isdisjoint(cluster.calls)
