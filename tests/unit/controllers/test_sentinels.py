"""Containers whose agent is not the one that was injected."""

from __future__ import annotations

from collections.abc import Mapping
from unittest.mock import AsyncMock

import pytest

from garrison.api.meta import EVENT, LEASE, WORKLOAD
from garrison.errors import UnsafeDestinationError
from garrison.ports.kube import Object
from garrison.ports.sentinel import Door, View
from tests.unit.controllers.cluster import Cluster, workload


async def test_another_agent_is_never_started_and_its_provider_is_left(cluster: Cluster) -> None:
    cluster.sentinel.altered.add("p0")
    await cluster.create(workload(trust="Verified"))
    await cluster.serves()
    body = await cluster.get(WORKLOAD, "chat")
    (failure,) = body["status"]["failures"]
    assert (failure["reason"], failure["blame"]) == ("SentinelChanged", "Provider")
    assert "another sentinel than the one that was injected" in failure["message"]
    assert "p0" not in body["status"]["providers"]
    assert len(cluster.sentinel.started) == 1


async def test_an_agent_that_is_exchanged_while_it_serves_is_told_as_condition_and_event(
    cluster: Cluster,
) -> None:
    await cluster.create(workload(trust="Verified"))
    await cluster.serves()
    conditions: list[Mapping[str, str]] = []
    cluster.store.listen(lambda change: conditions.extend(stated(change.object)))
    cluster.sentinel.altered.add("p0")

    async def is_told() -> bool:
        return any(each["reason"] == "SentinelChanged" for each in conditions)

    await cluster.until(is_told, "the lease says SentinelChanged")
    found = next(each for each in conditions if each["reason"] == "SentinelChanged")
    assert (found["type"], found["status"]) == ("Ready", "False")
    await cluster.serves()
    notes = {
        each["regarding"]["kind"]: each["note"]
        for each in await cluster.kube.list(EVENT)
        if each["reason"] == "SentinelChanged"
    }
    assert notes == {LEASE.kind: found["message"]}


async def test_a_container_that_comes_back_with_another_resolver_is_not_started(
    cluster: Cluster,
) -> None:
    await cluster.create(workload(trust="Verified"))
    await cluster.serves()
    (first,) = await cluster.leases()
    assert first["status"]["sentinel"]["resolvers"] == ["10.96.0.10"]
    cluster.sentinel.resolvers = ("198.51.100.9",)
    cluster.sentinel.restart(first["status"]["deployment"]["id"])

    async def is_replaced() -> bool:
        names = [each["metadata"]["name"] for each in await cluster.leases()]
        return bool(names) and first["metadata"]["name"] not in names

    await cluster.until(is_replaced, "another lease")
    await cluster.serves()
    assert len(cluster.sentinel.started) == 2
    (note,) = {
        each["note"]
        for each in await cluster.kube.list(EVENT)
        if each["reason"] == "ResolversChanged"
    }
    assert "names other resolvers (198.51.100.9) than at first (10.96.0.10)" in note


async def test_a_workload_may_drain_as_long_as_its_spec_says(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = AsyncMock(side_effect=cluster.sentinel.start)
    monkeypatch.setattr(cluster.sentinel, "start", starts)
    await cluster.create(workload(trust="Verified", traffic={"drainSeconds": 7}))
    await cluster.serves()
    assert [each.args[1].drain_seconds for each in starts.await_args_list] == [7]


def stated(body: Object) -> list[Mapping[str, str]]:
    """The conditions of a lease as it is written: one that fails is gone soon."""
    if body["kind"] != LEASE.kind:
        return []
    found: list[Mapping[str, str]] = (body.get("status") or {}).get("conditions") or []
    return found


async def test_a_look_that_breaks_is_a_look_that_failed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And it is told, as the bug that it is."""
    await cluster.create(workload(trust="Verified"))
    await cluster.serves()
    (first,) = await cluster.leases()
    looks = cluster.sentinel.look

    async def broken(door: Door) -> tuple[View, ...]:
        if door.lease.uid == first["metadata"]["uid"]:
            raise KeyError("what nobody thought of")
        return await looks(door)

    monkeypatch.setattr(cluster.sentinel, "look", broken)

    async def is_replaced() -> bool:
        names = [each["metadata"]["name"] for each in await cluster.leases()]
        return bool(names) and first["metadata"]["name"] not in names

    await cluster.until(is_replaced, "another lease")
    await cluster.serves()
    assert "look" in caplog.text
    assert "this is a bug in Garrison" in caplog.text
    caplog.clear()


async def test_an_address_that_must_not_be_dialled_never_is(cluster: Cluster) -> None:
    """Whatever a provider says of where its lease is reached: neither the sentinel's port nor the model's."""
    cluster.broken["screen.destination"] = UnsafeDestinationError("10.0.0.1 must not be dialled")
    await cluster.create(workload(trust="Verified"))

    async def is_left() -> bool:
        body = await cluster.get(WORKLOAD, "chat")
        failures = (body.get("status") or {}).get("failures") or ()
        return any(each["reason"] == "UnsafeDestination" for each in failures)

    await cluster.until(is_left, "UnsafeDestination")
    dialled = {each for each in cluster.calls if each.startswith(("sentinel.", "prober."))}
    assert dialled == set()
