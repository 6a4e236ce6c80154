"""An account: its money, its ceilings, and the deployments that nobody owns."""

from __future__ import annotations

import asyncio

import pytest

from garrison.api.meta import ACCOUNT, EVENT, LEASE, POLICY, PROVIDER, WORKLOAD
from garrison.api.money import MicroUSD
from garrison.controllers.assembly import Pace
from garrison.controllers.lease import LeaseController
from garrison.errors import AuthError, GarrisonError, RateLimitedError, UnavailableError
from garrison.ports.market import Order
from tests.builders import IMAGE, INSTALLATION
from tests.unit.controllers.cluster import Cluster, policy, workload

LOST = f"garrison-{INSTALLATION}-{'0' * 32}-0"
FOREIGN = f"garrison-ffffffff-{'0' * 32}-0"
GIB = 2**30


def order(marker: str) -> Order:
    return Order(
        marker=marker,
        image=IMAGE,
        ports=(8000,),
        cpu_millis=1000,
        memory_bytes=GIB,
        storage_bytes=GIB,
        max_price_per_hour=MicroUSD(3_000_000),
        deposit=MicroUSD(5_000_000),
    )


async def test_reads_the_market_and_introduces_its_providers(cluster: Cluster) -> None:
    await cluster.says(ACCOUNT, "treasury", "Ready", "Reachable")

    async def are_known() -> bool:
        return await cluster.providers() == ["p0", "p1", "p2"]

    await cluster.until(are_known, "three providers")
    status = (await cluster.get(ACCOUNT, "treasury"))["status"]
    assert float(status["balance"]) > 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            AuthError("Secret garrison-system/key does not exist; create it: kubectl …"),
            "Unauthorized",
        ),
        (UnavailableError("the Console API answers 503"), "Unavailable"),
        (RateLimitedError("too many calls"), "RateLimited"),
    ],
)
async def test_a_market_that_cannot_be_read_is_told_and_keeps_what_was_known(
    cluster: Cluster, error: GarrisonError, reason: str
) -> None:
    await cluster.says(ACCOUNT, "treasury", "Ready", "Reachable")
    balance = (await cluster.get(ACCOUNT, "treasury"))["status"]["balance"]
    cluster.broken["market.open_deployments"] = error
    assert await cluster.says(ACCOUNT, "treasury", "Ready", reason) == str(error)
    assert (await cluster.get(ACCOUNT, "treasury"))["status"]["balance"] == balance
    del cluster.broken["market.open_deployments"]
    await cluster.says(ACCOUNT, "treasury", "Ready", "Reachable")


async def test_an_orphan_is_named_with_an_event_and_then_closed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await cluster.market.create(order(LOST), cluster.market.propose_id())
    close, named_before = cluster.market.close, list[list[str]]()

    async def noting(deployment_id: str) -> None:
        status = (await cluster.get(ACCOUNT, "treasury"))["status"]
        named_before.append([each["deployment"] for each in status.get("strangers", [])])
        await close(deployment_id)

    monkeypatch.setattr(cluster.market, "close", noting)

    async def is_closed() -> bool:
        return cluster.market.paid() == []

    await cluster.until(is_closed, "closed")
    told = [each["reason"] for each in await cluster.kube.list(EVENT)]
    assert "OrphanedDeployment" in told
    assert named_before[0] == [made.id]
    await cluster.says(ACCOUNT, "treasury", "NoOrphans", "NoOrphans")


async def test_an_orphan_is_only_reported_where_a_person_wants_it_so(cluster: Cluster) -> None:
    await cluster.edit(ACCOUNT, "treasury", orphans="Report")
    made = await cluster.market.create(order(LOST), cluster.market.propose_id())
    assert made.id in await cluster.says(ACCOUNT, "treasury", "NoOrphans", "Orphans")
    await asyncio.sleep(600)
    assert len(cluster.market.paid()) == 1


async def test_somebody_elses_deployment_is_never_touched(cluster: Cluster) -> None:
    await cluster.market.create(order(FOREIGN), cluster.market.propose_id())
    await asyncio.sleep(600)
    assert len(cluster.market.paid()) == 1
    (stranger,) = (await cluster.get(ACCOUNT, "treasury"))["status"]["strangers"]
    assert stranger["kind"] == "Foreign"


async def test_an_account_goes_only_after_its_last_lease(cluster: Cluster) -> None:
    await cluster.create(workload())
    await cluster.serves()
    await cluster.delete(ACCOUNT, "treasury")
    await asyncio.sleep(120)
    assert len(cluster.market.paid()) == 1
    await cluster.says(WORKLOAD, "chat", "Ready", "AccountDeleting")
    await cluster.delete(WORKLOAD, "chat")

    async def is_gone() -> bool:
        return await cluster.kube.get(ACCOUNT, "", "treasury") is None

    await cluster.until(is_gone, "gone")
    assert cluster.market.paid() == []


async def test_a_released_deployment_runs_on_and_is_no_orphan(cluster: Cluster) -> None:
    await cluster.create(workload(deletionPolicy="Orphan"))
    await cluster.serves()
    await cluster.delete(WORKLOAD, "chat")

    async def is_gone() -> bool:
        return await cluster.leases() == []

    await cluster.until(is_gone, "gone")
    await asyncio.sleep(600)
    assert len(cluster.market.paid()) == 1
    (stranger,) = (await cluster.get(ACCOUNT, "treasury"))["status"]["strangers"]
    assert stranger["kind"] == "Released"


async def test_a_policy_counts_whom_it_shuts_out_and_an_edit_counts_again(
    cluster: Cluster,
) -> None:
    await cluster.create(policy(regions=["us-east"]))
    await cluster.says(POLICY, "eu", "Ready", "NobodyMatches")
    await cluster.edit(POLICY, "eu", regions=["eu-west"])
    assert await cluster.says(POLICY, "eu", "Ready", "Matching") == "3 of 3 known providers match"


async def test_a_killed_provider_is_recorded_and_an_unlisted_one_is_offline(
    cluster: Cluster,
) -> None:
    await cluster.create(workload())
    await cluster.serves()
    cluster.market.kill("p0")

    async def is_blamed() -> bool:
        status = (await cluster.get(PROVIDER, "p0")).get("status") or {}
        return [each["outcome"] for each in status.get("results", ())] == ["ProviderFault"]

    await cluster.until(is_blamed, "blamed")
    status = (await cluster.get(PROVIDER, "p0"))["status"]
    assert status["online"] is False
    assert status["quarantined"] == "h100"


async def test_a_provider_that_a_person_deletes_is_listed_anew_without_waiting_for_the_survey(
    cluster: Cluster,
) -> None:
    async def is_listed() -> bool:
        return "p0" in await cluster.providers()

    await cluster.until(is_listed, "listed")
    before = (await cluster.get(PROVIDER, "p0"))["metadata"]["uid"]
    clock = asyncio.get_running_loop()
    deleted = clock.time()
    await cluster.delete(PROVIDER, "p0")
    await cluster.until(is_listed, "listed anew")
    assert (await cluster.get(PROVIDER, "p0"))["metadata"]["uid"] != before
    assert clock.time() - deleted < Pace().survey / 2


async def test_nothing_is_remembered_about_what_is_gone(cluster: Cluster) -> None:
    await cluster.create(workload())
    await cluster.serves()
    await cluster.delete(WORKLOAD, "chat")

    async def is_gone() -> bool:
        return await cluster.leases() == []

    await cluster.until(is_gone, "gone")
    await asyncio.sleep(10)
    assert cluster.engine is not None
    controller = cluster.engine._controllers[LEASE.kind]
    assert isinstance(controller, LeaseController)
    memory: list[object] = [
        controller._uids,
        controller._seen,
        controller._contexts.tokens,
        controller._steps,
    ]
    memory += [controller._gateways._down, controller._gateways._read]
    memory += [controller._measurements._tracks]
    assert [each for each in memory if each] == []
