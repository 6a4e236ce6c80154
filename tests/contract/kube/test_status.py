"""Writing a status: as a whole, on the newest version only, and without touching the rest."""

from __future__ import annotations

import pytest

from garrison.errors import ConflictError, NotFoundError
from garrison.ports.kube import Kube, Object
from tests.contract.kube.berth import BERTH, HARBOUR, berth


async def _write(kube: Kube, body: Object, status: Object) -> Object:
    meta = body["metadata"]
    return await kube.replace_status(
        BERTH,
        meta["namespace"],
        meta["name"],
        status=status,
        resource_version=meta["resourceVersion"],
    )


async def test_a_status_is_replaced_as_a_whole(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    first = await _write(kube, created, {"free": True, "depth": {"low": 1, "high": 4}})
    second = await _write(kube, first, {"depth": {"low": 2}})
    assert second["status"] == {"depth": {"low": 2}}
    assert await kube.get(BERTH, namespace, "one") == second


async def test_a_status_bumps_the_version_but_not_the_generation(
    kube: Kube, namespace: str
) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    written = await _write(kube, created, {"free": True})
    before, after = created["metadata"], written["metadata"]
    assert after["resourceVersion"] != before["resourceVersion"]
    assert after["generation"] == before["generation"]
    assert written["spec"] == created["spec"]


async def test_an_equal_status_writes_nothing(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    first = await _write(kube, created, {"free": True})
    second = await _write(kube, first, {"free": True})
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_stale_version_conflicts(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    await _write(kube, created, {"free": True})
    with pytest.raises(ConflictError, match="one"):
        await _write(kube, created, {"free": False})
    kept = await kube.get(BERTH, namespace, "one")
    assert kept is not None
    assert kept["status"] == {"free": True}


async def test_a_version_from_before_an_object_of_the_same_name_conflicts(
    kube: Kube, namespace: str
) -> None:
    first = await kube.create(BERTH, berth("one", namespace))
    await kube.delete(BERTH, namespace, "one")
    await kube.create(BERTH, berth("one", namespace))
    with pytest.raises(ConflictError):
        await _write(kube, first, {"free": False})


async def test_the_status_of_a_missing_object_is_not_found(kube: Kube, namespace: str) -> None:
    with pytest.raises(NotFoundError, match="none"):
        await kube.replace_status(
            BERTH, namespace, "none", status={"free": True}, resource_version="1"
        )


async def test_a_cluster_scoped_status_is_written(kube: Kube, namespace: str) -> None:
    name = f"harbour-{namespace}"
    created = await kube.create(HARBOUR, berth(name, "", kind=HARBOUR))
    written = await kube.replace_status(
        HARBOUR,
        "",
        name,
        status={"free": True},
        resource_version=created["metadata"]["resourceVersion"],
    )
    assert written["status"] == {"free": True}
