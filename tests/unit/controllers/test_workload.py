"""A workload from apply to delete, and whatever stands in its way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from garrison.api.meta import ACCOUNT, EVENT, LEASE, REVISION, SERVICE, SLICE, WORKLOAD
from garrison.errors import AuthError, ImageError, UnavailableError
from tests.builders import IMAGE
from tests.unit.controllers.cluster import Cluster, account, policy, provider, workload

OTHER = IMAGE[:-1] + "b"


async def test_serves_routes_scales_and_leaves_nothing(cluster: Cluster) -> None:
    await cluster.create(workload())
    await cluster.serves()
    assert len(await cluster.kube.list(SLICE)) == 1
    assert (await cluster.get(SERVICE, "chat"))["spec"]["ports"][0]["port"] == 8000
    await cluster.edit(WORKLOAD, "chat", replicas=3)
    await cluster.serves()
    assert len(cluster.market.paid()) == 3
    await cluster.edit(WORKLOAD, "chat", replicas=0)
    await cluster.serves()
    assert cluster.market.paid() == []
    await cluster.delete(WORKLOAD, "chat")
    await cluster.until(_gone(cluster), "the workload is gone")
    assert await cluster.leases() == []


async def test_an_unverified_workload_may_listen_on_the_port_of_http(cluster: Cluster) -> None:
    await cluster.create(workload(port=80, trust="Unverified"))
    await cluster.serves()
    assert (await cluster.get(SERVICE, "chat"))["spec"]["ports"][0]["port"] == 80


async def test_a_lease_that_its_workload_does_not_name_is_never_paid(cluster: Cluster) -> None:
    """As one that another operator created, a moment after this one had dropped its name."""
    await cluster.create(workload())
    await cluster.serves()
    (own,) = await cluster.leases()
    stray = {**own, "metadata": {**own["metadata"], "name": "chat-stray"}, "status": {}}
    for name in ("uid", "resourceVersion", "creationTimestamp", "generation"):
        stray["metadata"].pop(name, None)
    cluster.broken["kube.delete"] = UnavailableError("HTTP 503")
    await cluster.create(stray)
    await asyncio.sleep(600)
    assert cluster.calls.count("market.create") == 1
    del cluster.broken["kube.delete"]

    async def is_gone() -> bool:
        names = [each["metadata"]["name"] for each in await cluster.leases()]
        return "chat-stray" not in names

    await cluster.until(is_gone, "the stray is gone")
    assert cluster.calls.count("market.create") == 1
    assert len(cluster.market.paid()) == 1


def _gone(cluster: Cluster) -> Callable[[], Awaitable[bool]]:
    async def is_gone() -> bool:
        return await cluster.kube.get(WORKLOAD, "prod", "chat") is None

    return is_gone


async def test_at_rest_nothing_is_written(cluster: Cluster) -> None:
    await cluster.create(workload())
    await cluster.serves()
    await asyncio.sleep(120)
    kinds = (WORKLOAD, LEASE, SERVICE, SLICE)
    before = [await cluster.kube.list(kind) for kind in kinds]
    await asyncio.sleep(1800)
    assert [await cluster.kube.list(kind) for kind in kinds] == before


async def test_a_new_image_rolls_and_old_revisions_are_pruned(cluster: Cluster) -> None:
    await cluster.create(workload())
    await cluster.serves()
    for letter in "bcdef":
        await cluster.edit(WORKLOAD, "chat", image=IMAGE[:-1] + letter)
        await cluster.serves()
    kept = [each for each in await cluster.leases() if "deletionTimestamp" not in each["metadata"]]
    assert len(kept) == 1
    assert len(await cluster.kube.list(REVISION)) <= 4


@pytest.mark.parametrize(
    ("spec", "reason", "parts"),
    [
        ({"accountRef": {"name": "nobody"}}, "AccountNotFound", ("'nobody'", "known: treasury")),
        ({"providerPolicyRef": {"name": "us"}}, "PolicyNotFound", ("'us'", "namespace 'prod'")),
        ({"budget": {"maxPricePerHour": "21"}}, "BudgetAboveAccountLimit", ("21", "20.00")),
    ],
)
async def test_a_spec_that_only_the_operator_can_refuse_stalls_and_spends_nothing(
    cluster: Cluster, spec: dict[str, Any], reason: str, parts: tuple[str, ...]
) -> None:
    await cluster.create(workload(**spec))
    message = await cluster.says(WORKLOAD, "chat", "Ready", reason)
    assert [each for each in parts if each not in message] == []
    assert (await cluster.condition(WORKLOAD, "chat", "Stalled"))[:2] == ("True", reason)
    assert "market.create" not in cluster.calls


async def test_a_bad_edit_leaves_what_serves_alone_and_mending_it_needs_no_lease(
    cluster: Cluster,
) -> None:
    await cluster.create(workload())
    await cluster.serves()
    (before,) = await cluster.leases()
    await cluster.edit(WORKLOAD, "chat", providerPolicyRef={"name": "eu"}, image=OTHER)
    await cluster.says(WORKLOAD, "chat", "Ready", "PolicyNotFound")
    assert (await cluster.condition(WORKLOAD, "chat", "Available"))[0] == "True"
    (after,) = await cluster.leases()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    await cluster.edit(WORKLOAD, "chat", image=IMAGE)
    await cluster.create(policy())
    await cluster.serves()
    assert len([each for each in cluster.calls if each == "market.create"]) == 1


@pytest.mark.parametrize(
    ("error", "type_", "reason"),
    [
        (ImageError("no such manifest; push it first"), "Stalled", "ImageUnavailable"),
        (AuthError("Secret prod/login does not exist; create it"), "Stalled", "ImageUnavailable"),
        (UnavailableError("the registry is down"), "Reconciling", "RegistryUnavailable"),
    ],
)
async def test_an_image_that_cannot_be_read_costs_nothing(
    cluster: Cluster, error: ImageError | AuthError | UnavailableError, type_: str, reason: str
) -> None:
    cluster.broken["registry.image"] = error
    await cluster.create(workload())
    assert str(error) in await cluster.says(WORKLOAD, "chat", type_, reason)
    assert str(error) in (await cluster.condition(WORKLOAD, "chat", "Ready"))[2]
    assert "market.create" not in cluster.calls
    del cluster.broken["registry.image"]
    await cluster.serves()


async def test_an_account_without_a_key_is_named_on_the_workload(cluster: Cluster) -> None:
    cluster.broken["market.balance"] = AuthError("Secret garrison-system/key does not exist")
    await cluster.create(workload(budget={"maxPricePerHour": "0.01"}))
    message = await cluster.says(WORKLOAD, "chat", "Ready", "AccountNotReady")
    assert "AkashAccount 'treasury': Secret garrison-system/key" in message
    del cluster.broken["market.balance"]
    await cluster.edit(WORKLOAD, "chat", budget={"maxPricePerHour": "2"})
    await cluster.serves()


async def test_what_never_ordered_goes_without_the_market(cluster: Cluster) -> None:
    cluster.exchanges.locked.add("treasury")
    await cluster.create(workload())
    await cluster.says(WORKLOAD, "chat", "Ready", "AccountNotReady")
    assert len(await cluster.leases()) == 1
    await cluster.delete(WORKLOAD, "chat")
    await cluster.until(_gone(cluster), "the workload is gone")
    await cluster.delete(ACCOUNT, "treasury")

    async def is_gone() -> bool:
        return await cluster.kube.get(ACCOUNT, "", "treasury") is None

    await cluster.until(is_gone, "the account is gone")


async def test_a_refused_key_orders_nothing_and_holds_nothing(cluster: Cluster) -> None:
    cluster.broken["market.create"] = AuthError("HTTP 401; check the API key")
    cluster.broken["market.open_deployments"] = cluster.broken["market.create"]
    await cluster.create(workload())
    message = await cluster.says(WORKLOAD, "chat", "Ready", "AccountNotReady")
    assert "check the API key" in message
    await cluster.delete(WORKLOAD, "chat")
    await cluster.until(_gone(cluster), "the workload is gone")
    assert cluster.calls.count("market.create") < 10


async def test_what_has_ordered_waits_for_the_market_to_be_closed(cluster: Cluster) -> None:
    await cluster.create(workload())
    await cluster.serves()
    cluster.exchanges.locked.add("treasury")
    await cluster.delete(WORKLOAD, "chat")
    await asyncio.sleep(600)
    assert len(await cluster.leases()) == len(cluster.market.paid()) == 1
    cluster.exchanges.locked.clear()
    await cluster.until(_gone(cluster), "the workload is gone")
    assert cluster.market.paid() == []


async def test_a_ceiling_too_low_for_the_replicas_is_named_on_the_workload(
    cluster: Cluster,
) -> None:
    limits = {"maxPricePerHour": "20", "maxLeases": 0, "maxNewLeasesPer10Minutes": 50}
    await cluster.edit(ACCOUNT, "treasury", limits=limits)
    await cluster.create(workload())
    message = await cluster.says(WORKLOAD, "chat", "Ready", "TooManyLeases")
    assert "limits.maxLeases is 0" in message
    assert "raise it on the AkashAccount" in message
    await cluster.edit(ACCOUNT, "treasury", limits={**limits, "maxLeases": 1})
    await cluster.serves()


async def test_a_price_ceiling_that_fits_nothing_says_whose_bid_was_too_dear(
    cluster: Cluster,
) -> None:
    await cluster.create(workload(budget={"maxPricePerHour": "0.05"}))
    message = await cluster.says(WORKLOAD, "chat", "Ready", "NoBids")
    assert "h100: nobody bid up to 0.05 $/h" in message
    assert "raise the price ceiling" in message
    assert "market.accept" not in cluster.calls
    await cluster.edit(WORKLOAD, "chat", budget={"maxPricePerHour": "3"})
    await cluster.serves()


async def test_a_crashing_revision_falls_back_to_the_one_that_served(cluster: Cluster) -> None:
    await cluster.create(workload(health={"startupGraceSeconds": 20}))
    await cluster.serves()
    cluster.gateway.crashing.add(OTHER)
    await cluster.edit(WORKLOAD, "chat", image=OTHER)
    message = await cluster.says(WORKLOAD, "chat", "Stalled", "RevisionFailed")
    assert "fix image, command" in message
    assert (await cluster.condition(WORKLOAD, "chat", "Available"))[0] == "True"
    await cluster.edit(WORKLOAD, "chat", image=IMAGE)
    await cluster.serves()


async def test_the_default_account_serves_whoever_names_none(cluster: Cluster) -> None:
    await cluster.edit(ACCOUNT, "treasury", default=False)
    await cluster.create(workload())
    await cluster.says(WORKLOAD, "chat", "Ready", "AccountNotFound")
    await cluster.create(account("second"))
    await cluster.serves()
    (lease,) = await cluster.leases()
    assert lease["spec"]["account"] == "second"


async def test_a_lease_deleted_by_hand_is_closed_and_replaced(cluster: Cluster) -> None:
    await cluster.create(workload())
    await cluster.serves()
    (first,) = await cluster.leases()
    await cluster.delete(LEASE, first["metadata"]["name"])

    async def is_replaced() -> bool:
        names = [each["metadata"]["name"] for each in await cluster.leases()]
        return len(names) == 1 and names != [first["metadata"]["name"]]

    await cluster.until(is_replaced, "replaced")
    await cluster.serves()
    assert len(cluster.market.paid()) == 1


async def test_a_restart_in_the_middle_doubles_nothing(cluster: Cluster) -> None:
    await cluster.create(workload(replicas=2))
    for seconds in (0.2, 0.7, 1.1, 1.9, 3.0, 5.0):
        await asyncio.sleep(seconds)
        await cluster.stop()
        await cluster.start()
    await cluster.serves()
    assert len(cluster.market.paid()) == 2


async def test_a_dearer_provider_is_taken_when_the_cheapest_is_gone(cluster: Cluster) -> None:
    await cluster.create(workload())
    await cluster.serves()
    (lease,) = await cluster.leases()
    assert lease["status"]["provider"] == "p0"
    cluster.market.kill("p0")

    async def is_elsewhere() -> bool:
        return any(
            (each.get("status") or {}).get("provider") not in {None, "p0"}
            for each in await cluster.leases()
        )

    await cluster.until(is_elsewhere, "elsewhere")
    await cluster.serves()
    assert provider("p0").id in await cluster.providers()
    events = await cluster.kube.list(EVENT)
    (note,) = {each["note"] for each in events if each["reason"] == "ReplicaFailed"}
    assert "replica at p0" in note


async def test_a_workload_whose_replicas_are_all_gone_has_no_backend(cluster: Cluster) -> None:
    await cluster.create(workload())
    await cluster.serves()
    await cluster.edit(WORKLOAD, "chat", replicas=0)
    assert await cluster.says(WORKLOAD, "chat", "Routed", "NoBackend") == "no replica is Ready"
    assert await cluster.kube.list(SLICE) == []


async def test_an_open_lease_whose_account_is_gone_is_told_in_the_log(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    await cluster.create(workload())
    await cluster.serves()
    found = await cluster.get(ACCOUNT, "treasury")
    await cluster.kube.replace_finalizers(
        ACCOUNT,
        "",
        "treasury",
        finalizers=[],
        resource_version=found["metadata"]["resourceVersion"],
    )
    await cluster.delete(ACCOUNT, "treasury")
    await cluster.delete(WORKLOAD, "chat")
    await asyncio.sleep(120)
    reasons = re.findall(r"(\w+): AkashAccount 'treasury' does not exist", caplog.text)
    assert set(reasons) == {"NoAccount"}
    assert len(cluster.market.paid()) == 1
    await cluster.create(account())
    await cluster.until(_gone(cluster), "the workload is gone")
    assert cluster.market.paid() == []
