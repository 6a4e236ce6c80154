"""A RotatingSecret with all controllers: minted, rotated, revoked, and what its status says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from garrison.api.meta import ANNOTATION_ROTATE, LEASE, ROTATING, WORKLOAD
from garrison.errors import AuthError, UnavailableError
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


def webhook(host: str) -> Object:
    return {"type": "Webhook", "webhook": {"url": f"https://{host}/v1"}, "generate": None}


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


async def test_a_source_that_moves_gives_a_new_version_and_the_old_one_is_revoked_where_it_was_made(
    cluster: Cluster,
) -> None:
    await cluster.create(rotating(source=webhook("old.example")))
    await cluster.create(user(replicas=2))
    await cluster.serves()
    await cluster.edit(ROTATING, "token", source=webhook("new.example"))
    await replaced(cluster, 2, 2)
    hosts = {str(each.source.webhook) for each in cluster.issuer.live.values()}
    assert all("new.example" in each for each in hosts)
    assert "2 versions revoked" in await cluster.says(ROTATING, "token", "Ready", "Current")


@pytest.mark.parametrize(
    "fresh", [{"type": "Generate"}, {"type": "Generate", "generate": {"length": 64}}]
)
async def test_another_kind_of_source_leaves_nothing_valid_at_the_old_one(
    cluster: Cluster, fresh: Object
) -> None:
    await cluster.create(rotating(source=webhook("old.example")))
    await cluster.create(user())
    await cluster.serves()
    await cluster.edit(ROTATING, "token", source={"webhook": None, **fresh})
    await replaced(cluster, 2)
    (found,) = cluster.issuer.live.values()
    assert found.source.type == "Generate"
    assert (await status(cluster))["nextRotationAt"]


async def test_a_lease_that_ends_after_its_source_moved_is_revoked_where_it_was_made(
    cluster: Cluster,
) -> None:
    await cluster.create(rotating(source=webhook("old.example")))
    await cluster.create(user())
    await cluster.serves()
    cluster.issuer.silent.add("https://new.example/v1")
    await cluster.edit(ROTATING, "token", source=webhook("new.example"))
    await cluster.says(ROTATING, "token", "Ready", "SourceFailed")
    assert await versions(cluster) == [1], "the old version holds until there is a new one"
    await cluster.delete(WORKLOAD, "chat")
    await replaced(cluster)


async def test_a_source_that_is_gone_for_good_holds_up_nobody_else_and_is_counted_by_nobody(
    cluster: Cluster,
) -> None:
    await cluster.create(rotating(source=webhook("old.example")))
    await cluster.create(user())
    await cluster.serves()
    cluster.issuer.silent.add("https://old.example/v1")
    await cluster.edit(ROTATING, "token", source=webhook("new.example"))
    await replaced(cluster, 1, 2)
    assert "old.example" in await cluster.says(ROTATING, "token", "Ready", "SourceFailed")
    await cluster.edit(WORKLOAD, "chat", replicas=2)
    await cluster.serves()
    assert await versions(cluster) == [1, 2, 2]
    assert (await status(cluster))["revoked"] == 0
    calls = cluster.calls.count("issuer.revoke")
    await asyncio.sleep(600)
    assert cluster.calls.count("issuer.revoke") - calls < 60, "it is asked again with pauses"
    cluster.issuer.silent.clear()
    await replaced(cluster, 2, 2)


async def test_what_a_broken_source_never_made_is_given_up_for_the_new_one(
    cluster: Cluster,
) -> None:
    cluster.issuer.silent.add("https://old.example/v1")
    await cluster.create(rotating(source=webhook("old.example")))
    await cluster.create(user())
    await cluster.says(ROTATING, "token", "Ready", "SourceFailed")
    await cluster.edit(ROTATING, "token", source=webhook("new.example"))
    await cluster.serves()
    assert await versions(cluster) == [2]
    listed = (await status(cluster))["credentials"]
    assert [(each["version"], each["state"]) for each in listed] == [(1, "Revoking"), (2, "Live")]


async def test_a_secret_that_is_deleted_while_it_is_in_use_is_told(cluster: Cluster) -> None:
    source = {"type": "SecretRef", "secretRef": {"name": "given"}}
    await cluster.create(rotating(source=source, scope="Workload"))
    await cluster.create(user())
    await cluster.serves()
    cluster.broken["issuer.digest"] = AuthError("Secret prod/given does not exist; create it")
    assert "prod/given" in await cluster.says(ROTATING, "token", "Ready", "SourceFailed")
    assert await versions(cluster) == [1], "what is live stays live"
    del cluster.broken["issuer.digest"]
    await cluster.says(ROTATING, "token", "Ready", "Current")


async def test_a_person_may_strike_out_what_no_webhook_is_left_to_revoke(cluster: Cluster) -> None:
    await cluster.create(rotating(source=webhook("old.example")))
    await cluster.create(user())
    await cluster.serves()
    cluster.issuer.silent.add("https://old.example/v1")
    await cluster.delete(WORKLOAD, "chat")
    await cluster.says(ROTATING, "token", "Ready", "SourceFailed")
    assert await cluster.leases()
    body = await cluster.get(ROTATING, "token")
    await cluster.kube.replace_status(
        ROTATING,
        NAMESPACE,
        "token",
        status={**body["status"], "credentials": []},
        resource_version=body["metadata"]["resourceVersion"],
    )

    async def is_gone() -> bool:
        return not await cluster.leases()

    await cluster.until(is_gone, "the lease is gone")
