"""A Service and one EndpointSlice per replica, as the API server keeps them."""

from __future__ import annotations

import aiohttp

from devenv.network import Network
from tests.e2e.bodies import Body, condition
from tests.e2e.scene import Scene
from tests.e2e.waiting import eventually

SERVICE_NAME = "kubernetes.io/service-name"
SLICE_MANAGER = "endpointslice.kubernetes.io/managed-by"
READY = {"ready": True, "serving": True, "terminating": False}
DRAINING = {"ready": False, "serving": True, "terminating": True}
DRAIN_SECONDS = 6


async def slices(scene: Scene, workload: str = "chat") -> dict[str, Body]:
    """Return every slice of the workload's Service, whoever manages it, by name."""
    found = await scene.stage.get(
        "endpointslices", "--namespace", scene.namespace, "-l", f"{SERVICE_NAME}={workload}"
    )
    return {each["metadata"]["name"]: each for each in found["items"]}


async def services(scene: Scene) -> dict[str, Body]:
    """Return the Services of the test's namespace by name."""
    found = await scene.stage.get("services", "--namespace", scene.namespace)
    return {each["metadata"]["name"]: each for each in found["items"]}


def target(body: Body) -> tuple[str, int]:
    """Return the only address and port of a slice."""
    (endpoint,), (port,) = body["endpoints"], body["ports"]
    (address,) = endpoint["addresses"]
    return address, port["port"]


def conditions(found: dict[str, Body]) -> list[dict[str, bool]]:
    """Return the conditions of every endpoint, the ready ones first."""
    each = [endpoint["conditions"] for body in found.values() for endpoint in body["endpoints"]]
    return sorted(each, key=lambda one: not one["ready"])


async def answer(body: Body) -> int:
    """Return the status with which the model behind a slice answers."""
    address, port = target(body)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.get(f"http://{address}:{port}/v1/models") as response,
    ):
        models = await response.json()
        assert models["object"] == "list"
        return response.status


async def test_every_replica_has_a_slice_with_its_own_address(
    scene: Scene, network: Network
) -> None:
    await scene.serve("chat", replicas=2)
    await scene.until("chat", "Routed")
    service = (await services(scene))["chat"]
    assert "selector" not in service["spec"]
    assert [each["port"] for each in service["spec"]["ports"]] == [8080]
    found = await slices(scene)
    endpoints = {
        each["metadata"]["name"]: each["status"]["endpoint"] for each in await scene.leases()
    }
    assert {name: target(body) for name, body in found.items()} == {
        name: (each["host"], each["port"]) for name, each in endpoints.items()
    }
    hosts = {target(body)[0] for body in found.values()}
    assert len(hosts) == 2, "two providers, each with its own address"
    assert hosts <= {str(each) for each in network.addresses}
    assert {body["metadata"]["labels"][SLICE_MANAGER] for body in found.values()} == {
        "garrison.dev"
    }
    assert conditions(found) == [READY, READY]
    assert [await answer(body) for body in found.values()] == [200, 200]
    url = (await scene.workload("chat"))["status"]["url"]
    assert url == f"http://chat.{scene.namespace}.svc:8080"


async def test_a_leaving_replica_drains_and_then_its_slice_is_gone(scene: Scene) -> None:
    await scene.serve("chat", replicas=2, traffic={"drainSeconds": DRAIN_SECONDS})
    await scene.until("chat", "Routed")
    await scene.kubectl("scale", "iw/chat", "--replicas=1")
    found = await eventually(
        "one draining",
        lambda: slices(scene),
        lambda found: conditions(found) == [READY, DRAINING],
    )
    assert [await answer(body) for body in found.values()] == [200, 200], "both still serve"
    left = await eventually("one slice", lambda: slices(scene), lambda found: len(found) == 1)
    assert conditions(left) == [READY]
    (name,) = left
    assert name == max(found, key=lambda each: found[each]["endpoints"][0]["conditions"]["ready"])
    await scene.apply_workload("chat")


async def test_routes_go_with_their_workload(scene: Scene) -> None:
    await scene.serve("chat")
    await scene.until("chat", "Routed")
    await scene.kubectl("delete", "iw", "chat", "--timeout=60s")
    await eventually("no slice", lambda: slices(scene), lambda found: not found)
    await eventually("no Service", lambda: services(scene), lambda found: "chat" not in found)


async def test_the_service_of_a_person_is_left_alone(scene: Scene) -> None:
    await scene.kubectl("create", "service", "clusterip", "chat", "--tcp=80:8080")
    before = (await services(scene))["chat"]
    await scene.serve("chat")
    body = await eventually(
        "told that the name is taken",
        lambda: scene.workload("chat"),
        lambda body: condition(body, "Routed").get("reason") == "NameTaken",
    )
    assert condition(body, "Routed")["status"] == "False"
    assert condition(body, "Available")["status"] == "True"
    assert f"Service {scene.namespace}/chat exists" in condition(body, "Routed")["message"]
    assert (await services(scene))["chat"] == before
    mine = await slices(scene)
    assert not any(
        body["metadata"]["labels"][SLICE_MANAGER] == "garrison.dev" for body in mine.values()
    )
    await scene.kubectl("delete", "service", "chat")
    await scene.until("chat", "Routed")
    assert "selector" not in (await services(scene))["chat"]["spec"]
