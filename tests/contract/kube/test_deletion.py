"""Finalizers, deletion, and what follows an owner."""

from __future__ import annotations

from functools import partial

import pytest

from garrison.errors import ConflictError, InvalidSpecError, NotFoundError
from garrison.ports.kube import Kube, Object
from tests.contract.kube.berth import BERTH, HARBOUR, berth, owner
from tests.contract.kube.waiting import eventually, gone

HOLD = "contract.garrison.dev/hold"
OTHER = "contract.garrison.dev/other"


async def _finalizers(kube: Kube, body: Object, *finalizers: str) -> Object | None:
    meta = body["metadata"]
    return await kube.replace_finalizers(
        BERTH,
        meta["namespace"],
        meta["name"],
        finalizers=finalizers,
        resource_version=meta["resourceVersion"],
    )


async def _deleting(kube: Kube, namespace: str, name: str) -> Object:
    await kube.delete(BERTH, namespace, name)
    left = await kube.get(BERTH, namespace, name)
    assert left is not None
    return left


async def test_an_unheld_object_goes_at_once(kube: Kube, namespace: str) -> None:
    await kube.create(BERTH, berth("one", namespace))
    await kube.delete(BERTH, namespace, "one")
    assert await kube.get(BERTH, namespace, "one") is None


async def test_a_held_object_stays_until_it_is_let_go(kube: Kube, namespace: str) -> None:
    await kube.create(BERTH, berth("one", namespace, finalizers=[HOLD]))
    left = await _deleting(kube, namespace, "one")
    assert left["metadata"]["deletionTimestamp"]
    assert await _finalizers(kube, left) is None
    assert await kube.get(BERTH, namespace, "one") is None


async def test_one_of_two_finalizers_still_holds(kube: Kube, namespace: str) -> None:
    await kube.create(BERTH, berth("one", namespace, finalizers=[HOLD, OTHER]))
    left = await _finalizers(kube, await _deleting(kube, namespace, "one"), OTHER)
    assert left is not None
    assert left["metadata"]["finalizers"] == [OTHER]


async def test_a_finalizer_is_added(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    held = await _finalizers(kube, created, HOLD)
    assert held is not None
    assert held["metadata"]["finalizers"] == [HOLD]
    assert held["metadata"]["generation"] == created["metadata"]["generation"]


async def test_no_finalizer_is_added_to_an_object_on_its_way_out(
    kube: Kube, namespace: str
) -> None:
    await kube.create(BERTH, berth("one", namespace, finalizers=[HOLD]))
    left = await _deleting(kube, namespace, "one")
    with pytest.raises(InvalidSpecError, match=r"metadata\.finalizers"):
        await _finalizers(kube, left, HOLD, OTHER)


async def test_finalizers_on_a_stale_version_conflict(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    await _finalizers(kube, created, HOLD)
    with pytest.raises(ConflictError):
        await _finalizers(kube, created)


async def test_finalizers_of_a_missing_object_are_not_found(kube: Kube, namespace: str) -> None:
    with pytest.raises(NotFoundError):
        await kube.replace_finalizers(
            BERTH, namespace, "none", finalizers=[HOLD], resource_version="1"
        )


async def test_a_second_deletion_changes_nothing(kube: Kube, namespace: str) -> None:
    await kube.create(BERTH, berth("one", namespace, finalizers=[HOLD]))
    first = await _deleting(kube, namespace, "one")
    assert await _deleting(kube, namespace, "one") == first


async def test_deleting_what_is_missing_is_no_error(kube: Kube, namespace: str) -> None:
    await kube.delete(BERTH, namespace, "none")
    await kube.delete(BERTH, namespace, "none", uid="11111111-2222-3333-4444-555555555555")


async def test_deleting_by_uid_spares_a_namesake(kube: Kube, namespace: str) -> None:
    created = await kube.create(BERTH, berth("one", namespace))
    await kube.delete(BERTH, namespace, "one", uid="11111111-2222-3333-4444-555555555555")
    assert await kube.get(BERTH, namespace, "one") == created
    await kube.delete(BERTH, namespace, "one", uid=created["metadata"]["uid"])
    assert await kube.get(BERTH, namespace, "one") is None


async def test_dependants_follow_their_owner(kube: Kube, namespace: str) -> None:
    top = await kube.create(BERTH, berth("top", namespace))
    middle = await kube.create(BERTH, berth("middle", namespace, ownerReferences=[owner(top)]))
    await kube.create(BERTH, berth("bottom", namespace, ownerReferences=[owner(middle)]))
    await kube.delete(BERTH, namespace, "top")
    for name in ("middle", "bottom"):
        await eventually(partial(kube.get, BERTH, namespace, name), gone)


async def test_a_dependant_with_a_finalizer_waits_for_it(kube: Kube, namespace: str) -> None:
    top = await kube.create(BERTH, berth("top", namespace))
    body = berth("held", namespace, ownerReferences=[owner(top)], finalizers=[HOLD])
    await kube.create(BERTH, body)
    await kube.delete(BERTH, namespace, "top")
    left = await eventually(
        lambda: kube.get(BERTH, namespace, "held"),
        lambda held: held is not None and held["metadata"].get("deletionTimestamp"),
    )
    assert left is not None
    assert await _finalizers(kube, left) is None


async def test_a_dependant_of_two_outlives_one(kube: Kube, namespace: str) -> None:
    first = await kube.create(BERTH, berth("first", namespace))
    second = await kube.create(BERTH, berth("second", namespace))
    references = [owner(first), owner(second)]
    await kube.create(BERTH, berth("shared", namespace, ownerReferences=references))
    await kube.delete(BERTH, namespace, "first")
    shared = await eventually(
        lambda: kube.get(BERTH, namespace, "shared"),
        lambda body: body is None or body["metadata"]["ownerReferences"] == [owner(second)],
    )
    assert shared is not None


async def test_an_owner_may_be_cluster_scoped(kube: Kube, namespace: str) -> None:
    name = f"harbour-{namespace}"
    top = await kube.create(HARBOUR, berth(name, "", kind=HARBOUR))
    await kube.create(BERTH, berth("one", namespace, ownerReferences=[owner(top)]))
    await kube.delete(HARBOUR, "", name)
    await eventually(lambda: kube.get(BERTH, namespace, "one"), gone)


async def test_an_object_whose_owner_is_gone_follows_it(kube: Kube, namespace: str) -> None:
    top = await kube.create(BERTH, berth("top", namespace))
    await kube.delete(BERTH, namespace, "top")
    await kube.create(BERTH, berth("late", namespace, ownerReferences=[owner(top)]))
    await eventually(lambda: kube.get(BERTH, namespace, "late"), gone)
