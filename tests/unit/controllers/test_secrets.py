"""A RotatingSecret with all controllers: minted, rotated, revoked, and what its status says."""

from __future__ import annotations

from typing import Any

import pytest

from garrison.api.meta import ANNOTATION_ROTATE, LEASE, ROTATING, WORKLOAD
from garrison.errors import UnavailableError
from garrison.ports.kube import Object
from kube_light.history import Change
from tests.unit.controllers.cluster import NAMESPACE, Cluster, rotating, workload

USE = [{"rotatingSecretRef": {"name": "token"}, "file": "token.txt", "onRotate": "None"}]


def user(**spec: Any) -> Object:
    return workload(trust="Verified", secrets=USE, **spec)


async def status(cluster: Cluster) -> Object:
    found: Object = (await cluster.get(ROTATING, "token"))["status"]
    return found


async def versions(cluster: Cluster) -> list[int]:
    return sorted(each.version for each in cluster.issuer.live.values())


async def serving(cluster: Cluster, **spec: Any) -> None:
    await cluster.create(rotating())
    await cluster.create(user(**spec))
    await cluster.serves()


async def replaced(cluster: Cluster, *expected: int) -> None:
    """Wait until these versions are live, and no others."""

    async def is_so() -> bool:
        return await versions(cluster) == list(expected)

    await cluster.until(is_so, f"versions {expected} live")


async def test_each_replica_has_a_version_of_its_own(cluster: Cluster) -> None:
    await serving(cluster, replicas=2)
    holders = {each.holder for each in cluster.issuer.live.values()}
    assert holders == {each["metadata"]["uid"] for each in await cluster.leases()}
    assert "version 1; 0 versions revoked" in await cluster.says(
        ROTATING, "token", "Ready", "Current"
    )
    assert (await status(cluster))["live"] == 2


async def test_a_first_version_is_announced_before_it_is_current(cluster: Cluster) -> None:
    told: list[str] = []

    def listen(change: Change) -> None:
        conditions = change.object.get("status", {}).get("conditions", ())
        if change.object["kind"] == ROTATING.kind and conditions:
            told.append(conditions[0]["reason"])

    cluster.store.listen(listen)
    await serving(cluster)
    await cluster.says(ROTATING, "token", "Ready", "Current")
    assert "Minting" in told[: told.index("Current", told.index("Minting"))]


async def test_a_person_rotates_at_once_and_the_old_version_is_revoked(cluster: Cluster) -> None:
    await serving(cluster)
    resource = cluster.kube._resource(ROTATING)
    wish = {"metadata": {"annotations": {ANNOTATION_ROTATE: "2026-11-23T12:00:00Z"}}}
    cluster.store.merge(resource, wish, NAMESPACE, "token")
    await replaced(cluster, 2)
    assert "1 versions revoked" in await cluster.says(ROTATING, "token", "Ready", "Current")
    told = [each for each in await cluster.events("token") if each["reason"] == "Rotating"]
    assert [each["type"] for each in told] == ["Normal"]


async def test_an_hour_later_it_rotates_by_itself(cluster: Cluster) -> None:
    await serving(cluster)
    await replaced(cluster, 2)
    (lease,) = await cluster.leases()
    (record,) = lease["status"]["secrets"]
    assert (record["version"], record["wanted"]) == (2, 2)


async def test_a_source_that_fails_is_told_and_tried_again(cluster: Cluster) -> None:
    cluster.broken["issuer.mint"] = UnavailableError("mint.example answered 503")
    await cluster.create(rotating())
    await cluster.create(user())
    assert "503" in await cluster.says(ROTATING, "token", "Ready", "SourceFailed")
    told = [each for each in await cluster.events("token") if each["reason"] == "SourceFailed"]
    assert [each["type"] for each in told] == ["Warning"]
    del cluster.broken["issuer.mint"]
    await cluster.serves()
    await cluster.says(ROTATING, "token", "Ready", "Current")


async def test_a_source_that_stays_silent_costs_no_paid_replica_for_long(cluster: Cluster) -> None:
    cluster.broken["issuer.mint"] = UnavailableError("mint.example answered 503")
    await cluster.create(rotating())
    await cluster.create(user())

    async def is_given_up() -> bool:
        failures = (await cluster.get(WORKLOAD, "chat")).get("status", {}).get("failures") or ()
        return any(each["reason"] == "SecretUnavailable" for each in failures)

    await cluster.until(is_given_up, "given up")
    assert cluster.issuer.live == {}


async def test_what_is_in_use_stays_until_nobody_uses_it(cluster: Cluster) -> None:
    await serving(cluster)
    await cluster.delete(ROTATING, "token")
    assert "spec.secrets" in await cluster.says(ROTATING, "token", "Ready", "InUse")
    assert await versions(cluster) == [1]
    await cluster.delete(WORKLOAD, "chat")

    async def is_gone() -> bool:
        return await cluster.kube.get(ROTATING, NAMESPACE, "token") is None

    await cluster.until(is_gone, "gone")
    assert cluster.issuer.live == {}


async def test_more_holders_than_one_secret_keeps_are_told_what_to_do(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("garrison.core.rotation.MAX_CREDENTIALS", 1)
    monkeypatch.setattr("garrison.controllers.secrets.MAX_CREDENTIALS", 1)
    await cluster.create(rotating())
    await cluster.create(user(replicas=2))
    message = await cluster.says(ROTATING, "token", "Ready", "TooManyHolders")
    assert "use scope: Workload" in message
    assert await versions(cluster) == [1]


async def test_a_lease_is_gone_only_when_its_credential_is_revoked(cluster: Cluster) -> None:
    await serving(cluster)
    cluster.broken["issuer.revoke"] = UnavailableError("mint.example answered 503")
    await cluster.delete(WORKLOAD, "chat")
    assert "503" in await cluster.says(ROTATING, "token", "Ready", "SourceFailed")
    (lease,) = await cluster.leases()
    assert lease["status"]["closedAt"]
    assert cluster.market.paid() == []

    async def is_told() -> bool:
        message = (await cluster.condition(LEASE, lease["metadata"]["name"], "Ready"))[2]
        return "RotatingSecret token that are not revoked yet" in message

    await cluster.until(is_told, "the lease says what holds it")
    del cluster.broken["issuer.revoke"]

    async def is_gone() -> bool:
        return not await cluster.leases()

    await cluster.until(is_gone, "the lease is gone")
    assert cluster.issuer.live == {}
    assert (await status(cluster))["revoked"] == 1
