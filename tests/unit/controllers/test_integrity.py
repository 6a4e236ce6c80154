"""Integrity with all controllers: against the image, against the first start, and without python3."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from garrison.adapters.registry.inflate import ZSTD_MODULES, Inflate
from garrison.api.meta import LEASE, WORKLOAD
from garrison.core.integrity import UNREADABLE
from garrison.errors import ImageError, UnavailableError
from garrison.ports.kube import Object
from garrison.ports.sentinel import Door, Evidence
from tests.builders import IMAGE
from tests.unit.controllers.cluster import Cluster, workload

ASKED = {"paths": ["/app/**"], "everySeconds": 60}


def checked(**integrity: Any) -> Object:
    return workload(trust="Verified", integrity={**ASKED, **integrity})


async def found(cluster: Cluster) -> dict[str, Any]:
    (lease,) = await cluster.leases()
    return dict(lease["status"]["integrity"])


async def deployment(cluster: Cluster) -> str:
    (lease,) = await cluster.leases()
    return str(lease["status"]["deployment"]["id"])


async def test_what_serves_is_what_the_image_holds(cluster: Cluster) -> None:
    await cluster.create(checked())
    await cluster.serves()
    message = await cluster.says(WORKLOAD, "chat", "IntegrityVerified", "MatchesImage")
    assert "not against a provider that owns the machine" in message
    record = await found(cluster)
    assert (record["reference"], record["referenceDigest"]) == ("Image", IMAGE.rpartition("@")[2])
    assert (record["state"], record["stage"]) == ("Verified", "Running")
    assert cluster.calls.count("sentinel.attest") == 2


async def test_without_the_layers_the_first_start_counts_and_status_says_why(
    cluster: Cluster,
) -> None:
    cluster.registry.large.add(IMAGE)
    await cluster.create(checked())
    await cluster.serves()
    message = await cluster.says(WORKLOAD, "chat", "IntegrityVerified", "MatchesFirstStart")
    assert "too large" in message
    assert len((await found(cluster))["referenceDigest"]) == 64


async def test_layers_that_python_cannot_unpack_are_no_reference_and_status_names_the_remedy(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ZSTD_MODULES:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImageError) as caught:
        list(Inflate().feed(b"\x28\xb5\x2f\xfd"))
    cluster.broken["registry.contents"] = caught.value
    await cluster.create(checked())
    await cluster.serves()
    message = await cluster.says(WORKLOAD, "chat", "IntegrityVerified", "MatchesFirstStart")
    assert "install backports.zstd" in message
    record = await found(cluster)
    assert record["reference"] == "FirstStart"
    assert "compressed with zstd" in record["referenceMessage"]


async def test_a_registry_that_is_away_for_long_delays_no_longer_than_five_minutes(
    cluster: Cluster,
) -> None:
    cluster.broken["registry.contents"] = UnavailableError("no route")
    await cluster.create(checked())
    await cluster.serves()
    assert "no route" in (await found(cluster))["referenceMessage"]


async def test_an_alert_says_what_drifted_and_leaves_the_replica(cluster: Cluster) -> None:
    await cluster.create(checked())
    await cluster.serves()
    cluster.sentinel.swapped.add(await deployment(cluster))
    message = await cluster.says(WORKLOAD, "chat", "IntegrityVerified", "IntegrityDrift")
    assert "/app/serve" in message
    await cluster.serves()
    cluster.sentinel.swapped.clear()
    await cluster.says(WORKLOAD, "chat", "IntegrityVerified", "MatchesImage")


@pytest.mark.parametrize(
    ("hides", "reason", "says"),
    [
        ({"truncated": True}, "NotChecked", "it met its bounds"),
        ({"files": {"/app/serve": UNREADABLE}}, "IntegrityDrift", "not readable any more"),
    ],
    ids=["what is looked at", "a file"],
)
async def test_who_hides_something_is_not_verified(
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    hides: dict[str, Any],
    reason: str,
    says: str,
) -> None:
    await cluster.create(checked())
    await cluster.serves()
    attest = cluster.sentinel.attest

    async def hidden(door: Door, paths: Sequence[str], nonce: str | None = None) -> Evidence:
        return replace(await attest(door, paths, nonce), **hides)

    monkeypatch.setattr(cluster.sentinel, "attest", hidden)
    assert says in await cluster.says(WORKLOAD, "chat", "IntegrityVerified", reason)
    monkeypatch.undo()
    await cluster.says(WORKLOAD, "chat", "IntegrityVerified", "MatchesImage")


async def test_an_intruder_is_named_and_the_replica_replaced(cluster: Cluster) -> None:
    await cluster.create(checked(onDrift="Replace"))
    await cluster.serves()
    (before,) = await cluster.leases()
    cluster.sentinel.invaded.add(await deployment(cluster))

    async def is_replaced() -> bool:
        body = await cluster.get(WORKLOAD, "chat")
        return bool(body["status"].get("failures"))

    await cluster.until(is_replaced, "replaced")
    await cluster.serves()
    failure = (await cluster.get(WORKLOAD, "chat"))["status"]["failures"][0]
    assert (failure["reason"], failure["blame"]) == ("IntegrityDrift", "Provider")
    assert "/tmp/miner (not in the image)" in failure["message"]
    after = {each["metadata"]["uid"] for each in await cluster.leases()}
    assert before["metadata"]["uid"] not in after or len(after) > 1


async def test_stale_answers_before_the_start_get_no_workload(cluster: Cluster) -> None:
    cluster.sentinel.stale.update(["p0"])
    await cluster.create(checked())
    await cluster.serves()
    body = await cluster.get(WORKLOAD, "chat")
    assert "p0" not in body["status"]["providers"]
    assert "another nonce" in body["status"]["failures"][0]["message"]


async def test_a_look_that_fails_is_no_drift_and_after_three_periods_nothing_is_claimed(
    cluster: Cluster,
) -> None:
    await cluster.create(checked(onDrift="Replace"))
    await cluster.serves()
    cluster.broken["sentinel.attest"] = UnavailableError("slow disk")
    message = await cluster.says(WORKLOAD, "chat", "IntegrityVerified", "NotChecked")
    assert "slow disk" in message
    await cluster.serves()
    del cluster.broken["sentinel.attest"]
    await cluster.says(WORKLOAD, "chat", "IntegrityVerified", "MatchesImage")


async def test_looks_that_never_succeed_end_the_lease_before_its_start(cluster: Cluster) -> None:
    cluster.broken["sentinel.attest"] = UnavailableError("slow disk")
    await cluster.create(checked())

    async def is_told() -> bool:
        failures = (await cluster.get(WORKLOAD, "chat")).get("status", {}).get("failures") or ()
        return any(each["reason"] == "IntegrityUnknown" for each in failures)

    await cluster.until(is_told, "IntegrityUnknown")
    assert not cluster.sentinel.started


@pytest.mark.parametrize("large", [False, True])
async def test_after_a_restart_of_the_operator_the_reference_is_the_same(
    cluster: Cluster, *, large: bool
) -> None:
    if large:
        cluster.registry.large.add(IMAGE)
    await cluster.create(checked())
    await cluster.serves()
    before = await found(cluster)
    await cluster.stop()
    cluster.sentinel.swapped.add(await deployment(cluster))
    await cluster.start()
    await cluster.says(WORKLOAD, "chat", "IntegrityVerified", "IntegrityDrift")
    after = await found(cluster)
    assert after["referenceDigest"] == before["referenceDigest"]


async def test_other_paths_are_looked_at_in_place(cluster: Cluster) -> None:
    await cluster.create(checked())
    await cluster.serves()
    (before,) = await cluster.leases()
    await cluster.edit(WORKLOAD, "chat", integrity={**ASKED, "paths": ["/nowhere/*"]})
    await cluster.serves()

    async def is_looked_at() -> bool:
        return bool(
            (await found(cluster)).get("patterns") != before["status"]["integrity"]["patterns"]
        )

    await cluster.until(is_looked_at, "looked at")
    (after,) = await cluster.leases()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    await cluster.edit(WORKLOAD, "chat", integrity=None)

    async def is_silent() -> bool:
        (lease,) = await cluster.leases()
        return "integrity" not in lease["status"]

    await cluster.until(is_silent, "silent about it")


async def test_an_image_without_python_is_refused_before_anything_is_spent(
    cluster: Cluster,
) -> None:
    cluster.registry.bare.add(IMAGE)
    await cluster.create(workload(trust="Verified"))
    message = await cluster.says(WORKLOAD, "chat", "Stalled", "NoPython")
    assert "set spec.trust: Unverified" in message
    assert "market.create" not in cluster.calls
    await cluster.edit(WORKLOAD, "chat", trust="Unverified")
    await cluster.serves()


async def test_layers_that_cannot_be_read_keep_nobody_waiting_for_long(cluster: Cluster) -> None:
    cluster.broken["registry.contents"] = UnavailableError("no route")
    await cluster.create(workload(trust="Verified"))
    await cluster.says(WORKLOAD, "chat", "Ready", "CheckingImage")
    await cluster.serves()


async def test_at_rest_looks_write_nothing(cluster: Cluster) -> None:
    await cluster.create(checked())
    await cluster.serves()
    (before,) = await cluster.leases()
    looks = cluster.calls.count("sentinel.attest")

    async def has_looked() -> bool:
        return cluster.calls.count("sentinel.attest") >= looks + 3

    await cluster.until(has_looked, "looked three times")
    after = await cluster.get(LEASE, before["metadata"]["name"])
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
