"""Routing objects: written where the name is free, left alone where somebody else has it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import chain, count
from typing import Any

import pytest

from garrison.adapters.memory.clock import ManualClock
from garrison.adapters.memory.kube import MemoryKube, register
from garrison.api.meta import LABEL_MANAGED_BY, MANAGED_BY, SERVICE, SLICE, Kind
from garrison.api.meta import LEASE as LEASE_KIND
from garrison.api.meta import WORKLOAD as WORKLOAD_KIND
from garrison.controllers.routes import REAPPLY, Router, Routes, is_ours, service
from garrison.core.traffic import Backend
from garrison.errors import UnavailableError, UnsafeDestinationError
from garrison.ports.probe import Destination
from kube_light.store import Store
from tests.builders import lease, workload

NAMESPACES = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)
OWNERS = ("uid-prod", "uid-chat", "uid-chat-1", "uid-chat-2")
WORKLOAD = workload()
LEASES = {name: lease("Ready", name=name, uid=f"uid-{name}") for name in ("chat-1", "chat-2")}
SERVICE_OF_A_PERSON = {
    "metadata": {"name": "chat", "namespace": "prod", "labels": {"team": "search"}},
    "spec": {"selector": {"app": "chat"}, "ports": [{"port": 80}]},
}


class LiteralScreen:
    """Every host is an address already; ``silent``: none is known, ``unsafe``: none is public."""

    silent = False
    unsafe = False

    async def destination(self, host: str, port: int, *, allow_private: bool) -> Destination:
        if self.silent:
            raise UnavailableError(f"{host}: no such name")
        if self.unsafe:
            raise UnsafeDestinationError(f"{host} is private")
        return Destination(host=host, address=host, port=port)


class Desk:
    """A router on an API server in memory, and what is in it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        uids = chain(OWNERS, map(str, count()))
        store = Store(uid=lambda: next(uids))
        register(store, (WORKLOAD_KIND, LEASE_KIND))
        self.kube = MemoryKube(store)
        self.screen = LiteralScreen()
        self.router = self.new_router()

    def new_router(self) -> Router:
        return Router(kube=self.kube, screen=self.screen, clock=self.clock)

    async def route(self, *names: str, draining: frozenset[str] = frozenset()) -> Routes:
        """Do what one pass does, and return what it decided."""
        backends = [
            Backend(lease=name, host="10.1.0.7", port=30000, draining=name in draining)
            for name in names
        ]
        metas = {name: each.meta for name, each in LEASES.items()}
        routes = await self.router.routes(WORKLOAD, backends, metas, allow_private=True)
        for name in routes.stale:
            await self.router.remove(WORKLOAD, name)
        for item in routes.objects:
            await self.router.apply(WORKLOAD, item)
        return routes

    async def slices(self) -> list[str]:
        found = await self.kube.list(SLICE, namespace="prod")
        return [each["metadata"]["name"] for each in found]

    async def service(self) -> dict[str, Any] | None:
        return await self.kube.get(SERVICE, "prod", "chat")


@pytest.fixture
async def desk() -> Desk:
    """With the objects that own routes: without them the garbage collector takes the routes."""
    desk = Desk()
    owners = ((NAMESPACES, "prod"), (WORKLOAD_KIND, "chat"), (LEASE_KIND, "chat-1"))
    for kind, name in (*owners, (LEASE_KIND, "chat-2")):
        await desk.kube.create(kind, {"metadata": {"name": name, "namespace": "prod"}})
    return desk


def routing(routes: Routes) -> tuple[bool, str]:
    assert routes.routing is not None
    return routes.routing.routed, routes.routing.reason


async def test_a_free_name_is_taken_and_then_nothing_more_is_written(desk: Desk) -> None:
    assert routing(await desk.route("chat-1", "chat-2")) == (True, "Routed")
    assert await desk.slices() == ["chat-1", "chat-2"]
    again = await desk.route("chat-1", "chat-2")
    assert (routing(again), again.objects, again.stale) == ((True, "Routed"), (), ())


async def test_replicas_without_an_address_are_not_said_to_be_missing(desk: Desk) -> None:
    desk.screen.silent = True
    routes = await desk.route("chat-1")
    assert routing(routes) == (False, "AddressUnknown")
    assert routes.routing is not None
    for part in ("10.1.0.7", "operator's DNS", "garrison connect iw/chat -n prod"):
        assert part in routes.routing.message
    assert routing(await desk.route()) == (False, "NoBackend")
    desk.screen.silent = False
    assert routing(await desk.route("chat-1")) == (True, "Routed")


async def test_silent_name_servers_at_a_restart_end_no_traffic(desk: Desk) -> None:
    await desk.route("chat-1", "chat-2")
    desk.router, desk.screen.silent = desk.new_router(), True
    assert routing(await desk.route("chat-1")) == (False, "AddressUnknown")
    assert await desk.slices() == ["chat-1"], "and what is no backend goes all the same"


async def test_what_must_not_be_dialled_gets_no_traffic(desk: Desk) -> None:
    await desk.route("chat-1")
    desk.router, desk.screen.unsafe = desk.new_router(), True
    assert routing(await desk.route("chat-1")) == (False, "AddressUnknown")
    assert await desk.slices() == []


async def test_the_service_of_a_person_is_left_alone_and_gets_no_slices(desk: Desk) -> None:
    before = await desk.kube.create(SERVICE, SERVICE_OF_A_PERSON)
    routes = await desk.route("chat-1")
    assert routing(routes) == (False, "NameTaken")
    assert routes.routing is not None
    for part in ("Service prod/chat", "rename the workload", "delete", "garrison connect iw/chat"):
        assert part in routes.routing.message
    assert await desk.service() == before
    assert await desk.slices() == []


async def test_the_name_is_used_once_the_person_gives_it_up(desk: Desk) -> None:
    await desk.kube.create(SERVICE, SERVICE_OF_A_PERSON)
    await desk.route("chat-1")
    await desk.kube.delete(SERVICE, "prod", "chat")
    assert routing(await desk.route("chat-1")) == (True, "Routed")
    assert await desk.slices() == ["chat-1"]


async def test_a_service_put_in_the_place_of_ours_loses_the_slices_at_the_next_write(
    desk: Desk,
) -> None:
    await desk.route("chat-1")
    await desk.kube.delete(SERVICE, "prod", "chat")
    before = await desk.kube.create(SERVICE, SERVICE_OF_A_PERSON)
    assert routing(await desk.route("chat-1", "chat-2")) == (False, "NameTaken")
    assert await desk.slices() == []
    assert await desk.service() == before


async def test_a_slice_of_somebody_else_is_left_alone_and_the_others_serve(desk: Desk) -> None:
    theirs: dict[str, Any] = {
        "metadata": {"name": "chat-1", "namespace": "prod"},
        "addressType": "IPv4",
    }
    theirs |= {"endpoints": [{"addresses": ["10.9.9.9"]}]}
    before = await desk.kube.create(SLICE, theirs)
    routes = await desk.route("chat-1", "chat-2")
    assert routing(routes) == (False, "NameTaken")
    assert routes.routing is not None
    assert "EndpointSlice prod/chat-1" in routes.routing.message
    assert await desk.kube.get(SLICE, "prod", "chat-1") == before
    assert await desk.slices() == ["chat-1", "chat-2"]


async def test_a_new_process_removes_the_slices_that_an_earlier_one_wrote(desk: Desk) -> None:
    await desk.route("chat-1", "chat-2")
    desk.router = desk.new_router()
    routes = await desk.route("chat-2")
    assert (routing(routes), routes.stale) == ((True, "Routed"), ("chat-1",))
    assert await desk.slices() == ["chat-2"]


async def test_what_somebody_deleted_comes_back(desk: Desk) -> None:
    await desk.route("chat-1")
    await desk.kube.delete(SERVICE, "prod", "chat")
    desk.clock.advance(REAPPLY + timedelta(seconds=1))
    await desk.route("chat-1")
    assert await desk.service() is not None


async def test_a_draining_replica_serves_what_it_has(desk: Desk) -> None:
    await desk.route("chat-1", draining=frozenset({"chat-1"}))
    found = await desk.kube.get(SLICE, "prod", "chat-1")
    assert found is not None
    assert found["endpoints"][0]["conditions"] == {
        "ready": False,
        "serving": True,
        "terminating": True,
    }


MINE = {LABEL_MANAGED_BY: MANAGED_BY}


@pytest.mark.parametrize(
    ("labels", "owners", "ours"),
    [
        (MINE, ["uid-chat"], True),
        (MINE, ["uid-chat", "another"], True),
        (MINE, ["uid-of-an-earlier-chat"], False),
        (MINE, [], False),
        ({}, ["uid-chat"], False),
        ({LABEL_MANAGED_BY: "Helm"}, ["uid-chat"], False),
        (None, None, False),
    ],
)
def test_ours_has_the_label_and_the_owner(
    labels: Mapping[str, str] | None, owners: list[str] | None, ours: bool
) -> None:
    references = None if owners is None else [{"uid": each} for each in owners]
    found = {"metadata": {"labels": labels, "ownerReferences": references}}
    assert is_ours(found, service(WORKLOAD)) is ours
