"""What replicas ask for in vain: on the policy, or on the lease; and who enters beside the guard."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry

from garrison.api.meta import EGRESS, LEASE, WORKLOAD
from garrison.core.mining import parse_pools
from garrison.ports.kube import Object
from garrison.ports.sentinel import Denied
from garrison.telemetry.trust import TrustCollector
from tests.builders import NOW
from tests.unit.controllers.cluster import Cluster, egress, workload

HUB = Denied(
    destination="hub.example",
    address="198.51.100.7",
    port=443,
    protocol="tcp",
    process="/usr/bin/curl",
    count=3,
    last_seen=NOW,
)
POOL = replace(HUB, destination="na.rplant.xyz", address="na.rplant.xyz", mining="pool-name")
UNNAMED = replace(HUB, destination="203.0.113.9", address="203.0.113.9", port=8443)
USES: dict[str, Any] = {"trust": "Verified", "egressPolicyRef": {"name": "hub"}}


async def told(cluster: Cluster, name: str, reason: str) -> list[str]:
    return [each["note"] for each in await cluster.events(name) if each["reason"] == reason]


async def policy_once(cluster: Cluster, field: str) -> Object:
    """Return the policy's status once a field is not empty."""

    async def is_filled() -> bool:
        return bool(((await cluster.get(EGRESS, "hub")).get("status") or {}).get(field))

    await cluster.until(is_filled, f"{field} of the policy")
    found: Object = (await cluster.get(EGRESS, "hub"))["status"]
    return found


async def serves_under(cluster: Cluster, *seen: Denied, **spec: Any) -> None:
    cluster.sentinel.sought["p0"] = seen
    await cluster.create(egress(**spec))
    await cluster.create(workload(**USES))
    await cluster.serves()


async def test_a_denied_pool_is_an_event_of_the_policy_and_a_metric(cluster: Cluster) -> None:
    await serves_under(cluster, HUB, POOL)
    status = await policy_once(cluster, "miningTotal")
    assert [(each["destination"], each.get("mining")) for each in status["denied"]] == [
        ("na.rplant.xyz", "pool-name"),
        ("hub.example", None),
    ]
    (message,) = await told(cluster, "hub", "MiningPoolDenied")
    assert "na.rplant.xyz:443 (a known mining pool) and was refused" in message
    registry = CollectorRegistry()
    engine = cluster.engine
    assert engine is not None
    registry.register(TrustCollector(engine.cache.list))
    (lease,) = await cluster.leases()
    labels = {
        "namespace": "prod",
        "workload": "chat",
        "lease": lease["metadata"]["name"],
        "policy": "hub",
    }
    assert registry.get_sample_value("garrison_egress_mining_denied_total", labels) == 3


async def test_an_audit_teaches_what_to_allow_and_never_a_pool(cluster: Cluster) -> None:
    await serves_under(cluster, HUB, POOL, mode="Audit")
    status = await policy_once(cluster, "suggestedAllow")
    assert status["suggestedAllow"] == [{"host": "hub.example", "ports": [443]}]
    assert status["enforced"] == "0/1"
    assert await told(cluster, "hub", "MiningPoolDenied") == []
    (message,) = await told(cluster, "hub", "MiningPoolReached")
    assert "was let through" in message


async def test_an_administrator_s_list_finds_a_pool_by_its_address(cluster: Cluster) -> None:
    await cluster.stop()
    cluster.pools = parse_pools("203.0.113.0/24", "pools.txt")
    await cluster.start()
    cluster.sentinel.sought["p0"] = (HUB, UNNAMED)
    await cluster.create(workload(trust="Verified"))
    await cluster.serves()

    async def is_told() -> bool:
        (lease,) = await cluster.leases()
        return bool(await told(cluster, lease["metadata"]["name"], "MiningPoolDenied"))

    await cluster.until(is_told, "the pool is told on the lease")
    (lease,) = await cluster.leases()
    (message,) = await told(cluster, lease["metadata"]["name"], "MiningPoolDenied")
    assert "203.0.113.9:8443 (the address of a known mining pool)" in message


async def test_a_new_version_of_the_policy_takes_no_count_back(cluster: Cluster) -> None:
    await serves_under(cluster, POOL)
    await policy_once(cluster, "miningTotal")
    totals: list[int] = []
    cluster.store.listen(lambda change: totals.extend(counted(change.object)))
    await cluster.edit(EGRESS, "hub", allow=[{"host": "other.example", "ports": [443]}])

    async def is_in_force() -> bool:
        (lease,) = await cluster.leases()
        return bool(lease["status"]["egress"]["inForce"] == 2)

    await cluster.until(is_in_force, "version 2 in force")
    assert totals
    assert set(totals) == {3}
    assert len(await told(cluster, "hub", "MiningPoolDenied")) == 1


def counted(body: Object) -> list[int]:
    if body["kind"] != LEASE.kind:
        return []
    return [body["status"]["egress"]["deniedTotal"]]


async def test_who_enters_from_outside_lowers_the_level_and_is_told_and_the_replica_stays(
    cluster: Cluster,
) -> None:
    await serves_under(cluster)
    await cluster.says(WORKLOAD, "chat", "EgressEnforced", "Enforced")
    (before,) = await cluster.leases()
    cluster.sentinel.entered["p0"] = ("/usr/bin/bash",)
    message = await cluster.says(WORKLOAD, "chat", "EgressEnforced", "BestEffort")
    assert "/usr/bin/bash was started from outside the container" in message
    (after,) = await cluster.leases()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["phase"] == "Ready"
    assert after["status"]["sentinel"]["entered"] == ["/usr/bin/bash"]
    (note,) = await told(cluster, after["metadata"]["name"], "EnteredFromOutside")
    assert "/usr/bin/bash at p0" in note


async def test_connections_that_live_on_through_a_change_are_told_until_they_are_gone(
    cluster: Cluster,
) -> None:
    await serves_under(cluster)
    await cluster.says(WORKLOAD, "chat", "EgressEnforced", "Enforced")
    (before,) = await cluster.leases()
    cluster.sentinel.clinging["p0"] = (("203.0.113.7", 443),)
    await cluster.edit(EGRESS, "hub", allow=[{"host": "other.example", "ports": [443]}])
    message = await cluster.says(WORKLOAD, "chat", "EgressEnforced", "BestEffort")
    assert "still connected though denied: 203.0.113.7:443" in message

    async def shows(level: str) -> bool:
        (replica,) = (await cluster.get(EGRESS, "hub"))["status"]["replicas"]
        return bool(replica["level"] == level)

    await cluster.until(lambda: shows("BestEffort"), "the policy's own status says so")
    cluster.sentinel.clinging.clear()
    await cluster.says(WORKLOAD, "chat", "EgressEnforced", "Enforced")
    await cluster.until(lambda: shows("Enforced"), "the policy's own status says so")
    (after,) = await cluster.leases()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert len(await told(cluster, after["metadata"]["name"], "StillConnected")) == 1
    assert len(await told(cluster, after["metadata"]["name"], "ConnectionsClosed")) == 1


async def test_a_machine_that_cannot_enforce_is_left_and_blamed(cluster: Cluster) -> None:
    """``requireEnforced`` is the default, also of a workload without a policy."""
    cluster.sentinel.weak.add("p0")
    await cluster.create(workload(trust="Verified"))
    await cluster.serves()
    body = await cluster.get(WORKLOAD, "chat")
    (failure,) = body["status"]["failures"]
    assert (failure["reason"], failure["blame"]) == ("EgressNotEnforced", "Provider")
    assert "requireEnforced: true" in failure["message"]
    assert body["status"]["providers"] != ["p0"]
    assert len(cluster.sentinel.started) == 1


async def test_what_the_rung_does_not_do_stands_beside_enforced(cluster: Cluster) -> None:
    cluster.sentinel.limits = ("a connection that a new policy denies lives on",)
    await cluster.create(workload(trust="Verified"))
    await cluster.serves()
    message = await cluster.says(WORKLOAD, "chat", "EgressEnforced", "Enforced")
    assert message.endswith("; a connection that a new policy denies lives on")
    (lease,) = await cluster.leases()
    assert lease["status"]["egress"]["limits"] == list(cluster.sentinel.limits)


async def test_where_enforcing_is_not_required_the_level_is_told_as_it_is(cluster: Cluster) -> None:
    cluster.sentinel.weak.add("p0")
    await cluster.create(egress(requireEnforced=False))
    await cluster.create(workload(**USES))
    await cluster.serves()
    message = await cluster.says(WORKLOAD, "chat", "EgressEnforced", "Refused")
    assert "not enforced" in message
    status = await policy_once(cluster, "replicas")
    assert status["enforced"] == "0/1"
    assert status["replicas"][0]["level"] == "Refused"
