"""Making and finding objects."""

from __future__ import annotations

from garrison.ports.kube import Kube
from tests.contract.kube.berth import BERTH, CRD, HARBOUR, berth


async def test_a_created_object_can_be_read(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace, size=3))
    assert await kube.get(BERTH, namespace, "one") == created


async def test_the_server_gives_an_object_its_identity(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    meta = created["metadata"]
    assert meta["uid"]
    assert meta["resourceVersion"]
    assert meta["generation"] == 1
    assert meta["creationTimestamp"].endswith("Z")


async def test_the_schema_gives_defaults(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    assert created["spec"] == {"size": 1, "colour": "red"}


async def test_fields_that_the_schema_lacks_are_dropped(kube: Kube, namespace: str) -> None:
    body = berth("one", namespace)
    body["spec"]["anchor"] = "heavy"
    created = await kube.create(BERTH, body)
    assert "anchor" not in created["spec"]


async def test_a_status_in_a_new_object_is_dropped(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, {**berth("one", namespace), "status": {"free": True}})
    assert "status" not in created


async def test_a_missing_object_is_none(kube: Kube, namespace: str) -> None:
    assert await kube.get(BERTH, namespace, "none") is None
    assert await kube.get(BERTH, "no-such-namespace", "none") is None
    assert await kube.get(HARBOUR, "", "none") is None


async def test_a_list_has_every_page_in_order(kube: Kube, namespace: str) -> None:
    names = [f"berth-{number}" for number in range(5)]
    for name in reversed(names):
        await kube.create(BERTH, berth(name, namespace))
    listed = await kube.list(BERTH, namespace=namespace)
    assert [each["metadata"]["name"] for each in listed] == names


async def test_listed_objects_carry_their_type(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    assert list(await kube.list(BERTH, namespace=namespace)) == [created]
    crds = await kube.list(CRD)
    assert {(each["kind"], each["apiVersion"]) for each in crds} == {(CRD.kind, CRD.api_version)}


async def test_a_list_is_narrowed_by_labels(kube: Kube, namespace: str) -> None:
    for name, labels in {
        "one": {"deck": "upper", "side": "port"},
        "two": {"deck": "upper"},
        "three": {"side": "port"},
    }.items():
        await kube.create(BERTH, berth(name, namespace, labels=labels))
    wanted = {"deck": "upper", "side": "port"}
    listed = await kube.list(BERTH, namespace=namespace, labels=wanted)
    assert [each["metadata"]["name"] for each in listed] == ["one"]


async def test_a_list_is_narrowed_by_namespace(kube: Kube, namespace: str) -> None:
    await kube.create(BERTH, berth("inside", namespace))
    await kube.create(BERTH, berth(f"outside-{namespace}", "default"))
    inside = await kube.list(BERTH, namespace=namespace)
    everywhere = await kube.list(BERTH)
    assert [each["metadata"]["name"] for each in inside] == ["inside"]
    assert {"inside", f"outside-{namespace}"} <= {each["metadata"]["name"] for each in everywhere}


async def test_a_cluster_scoped_object_has_no_namespace(kube: Kube, namespace: str) -> None:
    name = f"harbour-{namespace}"
    created = await kube.create(HARBOUR, berth(name, "", kind=HARBOUR))
    assert "namespace" not in created["metadata"]
    assert await kube.get(HARBOUR, "", name) == created
    assert created in await kube.list(HARBOUR)
