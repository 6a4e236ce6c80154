"""What a server refuses, and how that is told apart."""

from __future__ import annotations

from typing import Any

import pytest

from garrison.errors import AlreadyExistsError, InvalidSpecError, NotFoundError, RejectedError
from garrison.ports.kube import Kube
from tests.contract.kube.berth import BERTH, NAMESPACE, UNSERVED, berth

HOLD = "contract.garrison.dev/hold"


async def test_a_name_is_taken_once(kube: Kube, namespace: str) -> None:
    first = await kube.create(BERTH, berth("one", namespace, size=1))
    with pytest.raises(AlreadyExistsError, match="one"):
        await kube.create(BERTH, berth("one", namespace, size=2))
    assert await kube.get(BERTH, namespace, "one") == first


async def test_a_missing_namespace_is_not_found(kube: Kube) -> None:
    with pytest.raises(NotFoundError, match="no-such-namespace"):
        await kube.create(BERTH, berth("one", "no-such-namespace"))


async def test_a_kind_that_is_not_served_is_not_found(kube: Kube, namespace: str) -> None:
    with pytest.raises(NotFoundError):
        await kube.get(UNSERVED, namespace, "one")
    with pytest.raises(NotFoundError):
        await kube.list(UNSERVED)
    with pytest.raises(NotFoundError):
        await kube.delete(UNSERVED, namespace, "one")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"size": "big"}, r"spec\.size"),
        ({"size": 100}, r"spec\.size"),
        ({"size": -1}, r"spec\.size"),
        ({"size": 1.5}, r"spec\.size"),
        ({}, r"spec\.size"),
        ({"size": 1, "colour": "green"}, r"spec\.colour"),
        ({"size": 1, "ropes": ["a", "b", "c", "d"]}, r"spec\.ropes"),
        ({"size": 1, "ropes": ["a", "longer"]}, r"spec\.ropes\[1\]"),
        ({"size": 1, "ropes": [True]}, r"spec\.ropes\[0\]"),
    ],
)
async def test_a_wrong_field_is_named(
    kube: Kube, namespace: str, spec: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidSpecError, match=field):
        await kube.create(BERTH, {**berth("one", namespace), "spec": spec})
    assert await kube.get(BERTH, namespace, "one") is None


async def test_a_wrong_name_is_named(kube: Kube, namespace: str) -> None:
    with pytest.raises(InvalidSpecError, match=r"metadata\.name"):
        await kube.create(BERTH, berth("Not_A_Name", namespace))


async def test_a_wrong_type_is_rejected(kube: Kube, namespace: str) -> None:
    with pytest.raises(RejectedError):
        await kube.create(BERTH, {**berth("one", namespace), "kind": "Harbour"})


async def test_nothing_new_comes_into_a_terminating_namespace(kube: Kube, namespace: str) -> None:
    held = await kube.create(BERTH, berth("held", namespace, finalizers=[HOLD]))
    await kube.delete(NAMESPACE, "", namespace)
    with pytest.raises(RejectedError) as refused:
        await kube.create(BERTH, berth("one", namespace))
    assert refused.value.reason == "NamespaceTerminating"
    assert held["metadata"]["name"] in str(await kube.list(BERTH, namespace=namespace))
