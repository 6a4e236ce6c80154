"""The HTTP side as kopf and kubectl use it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest

from kube_light.resource import Column, Object, Resource, Scale
from kube_light.server import serve
from kube_light.store import Store
from kube_light.watching import parse_watch, watch

BOAT = Resource(
    group="test.dev",
    version="v1",
    kind="Boat",
    plural="boats",
    status=True,
    generation=True,
    scale=Scale(spec_path=".spec.oars", status_path=".status.oars", selector_path=".status.who"),
    short_names=("bt",),
    columns=(
        Column(name="Oars", type="integer", path=".spec.oars"),
        Column(name="Ready", type="string", path='.status.conditions[?(@.type=="Ready")].status'),
        Column(name="Age", type="date", path=".metadata.creationTimestamp"),
    ),
    schema={
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {"oars": {"type": "integer", "maximum": 8}},
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    },
)
ALL = "/apis/test.dev/v1/boats"
BOATS = "/apis/test.dev/v1/namespaces/default/boats"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture
def store() -> Store:
    new = Store()
    new.register(BOAT)
    return new


@pytest.fixture
async def http(store: Store) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=20)
    async with (
        serve(store, bookmark_seconds=0.05) as url,
        aiohttp.ClientSession(url, timeout=timeout) as session,
    ):
        yield session


def boat(name: str, oars: int = 2, **meta: Any) -> Object:
    return {"metadata": {"name": name, **meta}, "spec": {"oars": oars}}


async def _get(http: aiohttp.ClientSession, path: str, **query: str) -> Any:
    async with http.get(path, params=query) as response:
        return await response.json()


async def _lines(response: aiohttp.ClientResponse, count: int) -> list[tuple[str, Any]]:
    lines = [json.loads(await response.content.readline()) for _ in range(count)]
    return [(line["type"], line["object"]) for line in lines]


async def test_discovery_lists_a_resource_and_its_subresources(
    http: aiohttp.ClientSession,
) -> None:
    groups = await _get(http, "/apis")
    assert "test.dev" in {each["name"] for each in groups["groups"]}
    resources = {
        each["name"]: each for each in (await _get(http, "/apis/test.dev/v1"))["resources"]
    }
    assert set(resources) == {"boats", "boats/status", "boats/scale"}
    assert resources["boats"]["shortNames"] == ["bt"]
    assert resources["boats/scale"]["kind"] == "Scale"
    core = await _get(http, "/api/v1")
    assert {"namespaces", "secrets", "events"} <= {each["name"] for each in core["resources"]}


async def test_the_server_says_that_it_is_well(http: aiohttp.ClientSession) -> None:
    for path in ("/healthz", "/readyz", "/livez"):
        async with http.get(path) as response:
            assert await response.text() == "ok"
    assert (await _get(http, "/version"))["major"] == "1"


async def test_openapi_lets_kubectl_leave_validation_to_the_server(
    http: aiohttp.ClientSession,
) -> None:
    index = await _get(http, "/openapi/v3")
    document = await _get(http, index["paths"]["apis/test.dev/v1"]["serverRelativeURL"])
    path = "/apis/test.dev/v1/namespaces/{namespace}/boats/{name}"
    parameters = document["paths"][path]["patch"]["parameters"]
    assert "fieldValidation" in {each["name"] for each in parameters}


async def test_refusals_are_statuses(http: aiohttp.ClientSession) -> None:
    async with http.get(f"{BOATS}/none") as response:
        body = await response.json()
    assert response.status == 404
    assert (body["kind"], body["reason"]) == ("Status", "NotFound")
    assert body["details"] == {"name": "none", "group": "test.dev", "kind": "boats"}


@pytest.mark.parametrize(
    ("method", "path", "data", "code"),
    [
        ("GET", "/apis/none.dev/v1/boats", None, 404),
        ("GET", "/nonsense", None, 404),
        ("POST", BOATS, b"{", 400),
        ("POST", BOATS, b"[1]", 400),
        ("POST", f"{BOATS}/one", b"{}", 405),
        ("POST", f"{BOATS}?dryRun=All", b"{}", 400),
        ("GET", f"{BOATS}?labelSelector=a+b", None, 400),
        ("GET", f"{BOATS}?continue=x", None, 400),
        ("GET", f"{BOATS}?watch=true&resourceVersion=x", None, 400),
    ],
)
async def test_wrong_requests_are_refused(
    http: aiohttp.ClientSession, method: str, path: str, data: bytes | None, code: int
) -> None:
    async with http.request(method, path, data=data) as response:
        assert response.status == code
        assert (await response.json())["kind"] == "Status"


async def test_protobuf_is_refused_with_advice(http: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/vnd.kubernetes.protobuf"}
    async with http.post(BOATS, data=b"k8s\x00", headers=headers) as response:
        assert response.status == 415
        assert "send JSON" in (await response.json())["message"]


async def test_strict_validation_names_unknown_fields(http: aiohttp.ClientSession) -> None:
    body = {"metadata": {"name": "one"}, "spec": {"sail": 1}}
    async with http.post(BOATS, json=body, params={"fieldValidation": "Strict"}) as response:
        assert response.status == 400
        assert 'unknown field "spec.sail"' in (await response.json())["message"]


async def test_pages_show_one_moment(http: aiohttp.ClientSession, store: Store) -> None:
    for name in ("a", "b", "c"):
        store.create(BOAT, boat(name))
    first = await _get(http, BOATS, limit="2")
    store.delete(BOAT, "default", "c")
    store.create(BOAT, boat("bb"))
    token = first["metadata"]["continue"]
    second = await _get(http, BOATS, limit="2", **{"continue": token})
    names = [each["metadata"]["name"] for each in (*first["items"], *second["items"])]
    assert names == ["a", "b", "c"]
    assert "continue" not in second["metadata"]


async def test_a_page_after_compaction_is_gone(http: aiohttp.ClientSession, store: Store) -> None:
    for name in ("a", "b"):
        store.create(BOAT, boat(name))
    first = await _get(http, BOATS, limit="1")
    store.create(BOAT, boat("c"))
    store.compact()
    token = first["metadata"]["continue"]
    assert (await _get(http, BOATS, limit="1", **{"continue": token}))["code"] == 410


async def test_a_table_has_the_columns_of_the_resource(
    http: aiohttp.ClientSession, store: Store
) -> None:
    store.create(BOAT, boat("one"))
    conditions = [{"type": "Other", "status": "?"}, {"type": "Ready", "status": "True"}]
    store.merge(BOAT, {"status": {"conditions": conditions}}, "default", "one", "status")
    async with http.get(BOATS, headers=TABLE) as response:
        table = await response.json()
    names = [each["name"] for each in table["columnDefinitions"]]
    assert names == ["Name", "Oars", "Ready", "Age"]
    (row,) = table["rows"]
    assert row["cells"][:3] == ["one", 2, "True"]
    assert row["cells"][3].endswith("s")
    assert row["object"]["kind"] == "PartialObjectMetadata"


async def test_scale_reads_and_writes_replicas(http: aiohttp.ClientSession, store: Store) -> None:
    store.create(BOAT, boat("one", oars=2))
    patch = {"spec": {"replicas": 6}}
    async with http.patch(f"{BOATS}/one/scale", json=patch, headers=MERGE) as response:
        scale = await response.json()
    assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 6})
    assert store.get(BOAT, "default", "one")["spec"] == {"oars": 6}
    for replicas in (-1, 99):
        async with http.put(
            f"{BOATS}/one/scale", json={"spec": {"replicas": replicas}}
        ) as response:
            assert response.status == 422


async def test_scale_of_a_stale_version_conflicts(
    http: aiohttp.ClientSession, store: Store
) -> None:
    store.create(BOAT, boat("one"))
    scale = await _get(http, f"{BOATS}/one/scale")
    store.merge(BOAT, {"spec": {"oars": 3}}, "default", "one")
    async with http.put(f"{BOATS}/one/scale", json=scale) as response:
        assert response.status == 409


async def test_apply_takes_yaml(http: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/apply-patch+yaml"}
    text = "apiVersion: test.dev/v1\nkind: Boat\nmetadata: {name: one}\nspec: {oars: 4}\n"
    codes = []
    for _ in range(2):
        async with http.patch(f"{BOATS}/one", data=text, headers=headers) as response:
            codes.append(response.status)
    assert codes == [201, 200]


async def test_delete_options_name_a_version(http: aiohttp.ClientSession, store: Store) -> None:
    store.create(BOAT, boat("one"))
    options = {"preconditions": {"resourceVersion": "1"}}
    async with http.delete(f"{BOATS}/one", json=options) as response:
        assert response.status == 409
    async with http.delete(BOATS) as response:
        assert response.status == 200
    assert store.list(BOAT) == []


async def test_a_watch_tells_the_state_and_then_changes(
    http: aiohttp.ClientSession, store: Store
) -> None:
    store.create(BOAT, boat("one"))
    async with http.get(ALL, params={"watch": "true"}) as response:
        assert [kind for kind, _ in await _lines(response, 1)] == ["ADDED"]
        store.merge(BOAT, {"spec": {"oars": 5}}, "default", "one")
        store.delete(BOAT, "default", "one")
        lines = await _lines(response, 2)
    assert [kind for kind, _ in lines] == ["MODIFIED", "DELETED"]
    assert lines[1][1]["spec"] == {"oars": 5}


async def test_a_watch_goes_on_from_a_version(http: aiohttp.ClientSession, store: Store) -> None:
    created = store.create(BOAT, boat("one"))
    store.create(BOAT, boat("two"))
    query = {"watch": "true", "resourceVersion": created["metadata"]["resourceVersion"]}
    async with http.get(ALL, params=query) as response:
        ((kind, body),) = await _lines(response, 1)
    assert (kind, body["metadata"]["name"]) == ("ADDED", "two")


async def test_a_watch_from_a_forgotten_version_ends_with_410(
    http: aiohttp.ClientSession, store: Store
) -> None:
    created = store.create(BOAT, boat("one"))
    store.create(BOAT, boat("two"))
    store.compact()
    query = {"watch": "true", "resourceVersion": created["metadata"]["resourceVersion"]}
    async with http.get(ALL, params=query) as response:
        (line,) = [json.loads(line) async for line in response.content]
    assert (line["type"], line["object"]["code"]) == ("ERROR", 410)


async def test_a_watch_sees_objects_enter_and_leave_its_selector(
    http: aiohttp.ClientSession, store: Store
) -> None:
    query = {"watch": "true", "labelSelector": "crew=yes", "resourceVersion": str(store.revision)}
    async with http.get(ALL, params=query) as response:
        store.create(BOAT, boat("one"))
        store.merge(BOAT, {"metadata": {"labels": {"crew": "yes"}}}, "default", "one")
        store.merge(BOAT, {"spec": {"oars": 3}}, "default", "one")
        store.merge(BOAT, {"metadata": {"labels": {"crew": "no"}}}, "default", "one")
        lines = await _lines(response, 3)
    assert [kind for kind, _ in lines] == ["ADDED", "MODIFIED", "DELETED"]


async def test_a_quiet_watch_sends_bookmarks(http: aiohttp.ClientSession, store: Store) -> None:
    query = {"watch": "true", "allowWatchBookmarks": "true", "sendInitialEvents": "true"}
    store.create(BOAT, boat("one"))
    async with http.get(ALL, params=query) as response:
        lines = await _lines(response, 3)
    assert [kind for kind, _ in lines] == ["ADDED", "BOOKMARK", "BOOKMARK"]
    annotations = [body["metadata"].get("annotations") for _, body in lines[1:]]
    assert annotations == [{"k8s.io/initial-events-end": "true"}, None]
    assert lines[1][1]["metadata"]["resourceVersion"] == str(store.revision)


async def test_a_watch_ends_at_its_time(http: aiohttp.ClientSession) -> None:
    async with http.get(ALL, params={"watch": "true", "timeoutSeconds": "0.05"}) as response:
        assert await response.read() == b""


async def test_a_watch_that_is_left_listens_no_more(store: Store) -> None:
    wanted = parse_watch(BOAT, "", {})
    store.create(BOAT, boat("one"))
    async with aclosing(watch(store, wanted, bookmark_seconds=1)) as events:
        assert (await anext(events)).type == "ADDED"
        assert len(store._listeners) == 1
    assert store._listeners == []
