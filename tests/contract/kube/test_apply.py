"""Server-side apply: the same intent twice is one write."""

from __future__ import annotations

import pytest

from garrison.api.meta import SECRET, SERVICE, SLICE
from garrison.errors import InvalidSpecError, NotFoundError
from garrison.ports.kube import Kube, Object
from tests.contract.kube.berth import BERTH, berth, owner


def _service(namespace: str, **spec: object) -> Object:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "door", "namespace": namespace, "labels": {"app": "door"}},
        "spec": {"clusterIP": "None", "ports": ports, **spec},
    }


def _slice(namespace: str, *addresses: str) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "door-1",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": "door"},
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": True}} for address in addresses
        ],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


async def test_applying_makes_what_is_missing(kube: Kube, namespace: str) -> None:
    applied = await kube.apply(BERTH, berth("one", namespace, size=2))
    assert applied["spec"] == {"size": 2, "colour": "red"}
    assert await kube.get(BERTH, namespace, "one") == applied


async def test_applying_the_same_writes_nothing(kube: Kube, namespace: str) -> None:
    first = await kube.apply(BERTH, berth("one", namespace, labels={"deck": "upper"}))
    second = await kube.apply(BERTH, berth("one", namespace, labels={"deck": "upper"}))
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_applying_changes_the_generation_with_the_spec(kube: Kube, namespace: str) -> None:
    await kube.apply(BERTH, berth("one", namespace, size=1))
    applied = await kube.apply(BERTH, berth("one", namespace, size=2))
    assert applied["spec"]["size"] == 2
    assert applied["metadata"]["generation"] == 2


async def test_what_is_no_longer_applied_is_removed(kube: Kube, namespace: str) -> None:
    await kube.apply(BERTH, berth("one", namespace, labels={"deck": "upper", "side": "port"}))
    applied = await kube.apply(BERTH, berth("one", namespace, labels={"deck": "upper"}))
    assert applied["metadata"]["labels"] == {"deck": "upper"}


async def test_applying_spares_the_status_and_others_finalizers(kube: Kube, namespace: str) -> None:
    hold = "contract.garrison.dev/hold"
    created = await kube.create(BERTH, berth("one", namespace, finalizers=[hold]))
    await kube.replace_status(
        BERTH,
        namespace,
        "one",
        status={"free": True},
        resource_version=created["metadata"]["resourceVersion"],
    )
    applied = await kube.apply(BERTH, berth("one", namespace, size=4))
    assert applied["status"] == {"free": True}
    assert applied["metadata"]["finalizers"] == [hold]


async def test_owners_are_applied(kube: Kube, namespace: str) -> None:
    top = await kube.create(BERTH, berth("top", namespace))
    body = berth("one", namespace, ownerReferences=[owner(top)])
    first = await kube.apply(BERTH, body)
    second = await kube.apply(BERTH, body)
    assert first["metadata"]["ownerReferences"] == [owner(top)]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_wrong_intent_is_refused(kube: Kube, namespace: str) -> None:
    with pytest.raises(InvalidSpecError, match=r"spec\.size"):
        await kube.apply(BERTH, berth("one", namespace, size=100))


async def test_applying_into_a_missing_namespace_is_not_found(kube: Kube) -> None:
    with pytest.raises(NotFoundError):
        await kube.apply(BERTH, berth("one", "no-such-namespace"))


async def test_a_service_and_its_endpoints_are_applied(kube: Kube, namespace: str) -> None:
    first = await kube.apply(SERVICE, _service(namespace))
    second = await kube.apply(SERVICE, _service(namespace))
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    await kube.apply(SLICE, _slice(namespace, "10.0.0.1", "10.0.0.2"))
    slices = await kube.apply(SLICE, _slice(namespace, "10.0.0.2"))
    assert [each["addresses"] for each in slices["endpoints"]] == [["10.0.0.2"]]
    again = await kube.apply(SLICE, _slice(namespace, "10.0.0.2"))
    assert again["metadata"]["resourceVersion"] == slices["metadata"]["resourceVersion"]


async def test_a_secret_keeps_text_as_base64(kube: Kube, namespace: str) -> None:
    body = {"metadata": {"name": "key", "namespace": namespace}, "stringData": {"key": "text"}}
    created = await kube.create(SECRET, body)
    assert created["data"] == {"key": "dGV4dA=="}
    assert created["type"] == "Opaque"
