"""The store's own rules: history, changes, and what the control plane does by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_light.errors import ApiError
from kube_light.history import Change
from kube_light.resource import CORE_EVENT, CRD, EVENT, NAMESPACE, SECRET, Object, Resource
from kube_light.selector import equal_labels, parse_selector
from kube_light.store import Store

BOAT = Resource(
    group="test.dev", version="v1", kind="Boat", plural="boats", status=True, generation=True
)


@pytest.fixture
def store() -> Store:
    new = Store()
    new.register(BOAT)
    return new


def boat(name: str = "one", **meta: object) -> Object:
    return {"metadata": {"name": name, **meta}, "spec": {"length": 3}}


def definition(*versions: str) -> Object:
    entries = [
        {
            "name": version,
            "served": True,
            "storage": version == versions[-1],
            "schema": {
                "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            },
        }
        for version in versions
    ]
    return {
        "metadata": {"name": "rafts.test.dev"},
        "spec": {
            "group": "test.dev",
            "scope": "Namespaced",
            "names": {"kind": "Raft", "plural": "rafts"},
            "versions": entries,
        },
    }


def test_changes_come_in_order_with_what_was_before(store: Store) -> None:
    changes: list[Change] = []
    stop = store.listen(changes.append)
    created = store.create(BOAT, boat())
    changed = store.merge(BOAT, {"spec": {"length": 4}}, "default", "one")
    store.delete(BOAT, "default", "one")
    stop()
    store.create(BOAT, boat("two"))
    assert [each.type for each in changes] == ["ADDED", "MODIFIED", "DELETED"]
    assert [each.before for each in changes] == [None, created, changed]
    assert [each.revision for each in changes] == sorted({each.revision for each in changes})


def test_what_comes_out_is_a_copy(store: Store) -> None:
    created = store.create(BOAT, boat())
    created["spec"]["length"] = 99
    assert store.get(BOAT, "default", "one")["spec"]["length"] == 3


def test_what_goes_in_is_copied(store: Store) -> None:
    body = boat()
    store.create(BOAT, body)
    body["spec"]["length"] = 99
    assert store.get(BOAT, "default", "one")["spec"]["length"] == 3
    assert "uid" not in body["metadata"]


def test_history_is_replayed_from_a_revision(store: Store) -> None:
    store.create(BOAT, boat("one"))
    revision = store.revision
    store.create(NAMESPACE, {"metadata": {"name": "elsewhere"}})
    store.create(BOAT, boat("two"))
    names = [each.object["metadata"]["name"] for each in store.changes_since(revision, BOAT)]
    assert names == ["two"]


def test_a_compacted_or_future_revision_is_expired(store: Store) -> None:
    store.create(BOAT, boat("one"))
    revision = store.revision
    store.create(BOAT, boat("two"))
    store.compact()
    assert store.changes_since(store.revision, BOAT) == []
    for wrong in (revision, store.revision + 1):
        with pytest.raises(ApiError) as refused:
            store.changes_since(wrong, BOAT)
        assert (refused.value.code, refused.value.reason) == (410, "Expired")


def test_history_compacts_itself() -> None:
    store = Store(keep=10)
    store.register(BOAT)
    for number in range(20):
        store.create(BOAT, boat(f"boat-{number}"))
    with pytest.raises(ApiError):
        store.changes_since(1, BOAT)
    assert store.changes_since(store.revision - 2, BOAT)


def test_a_list_as_of_a_revision_shows_what_was(store: Store) -> None:
    first = store.create(BOAT, boat("one"))
    store.create(BOAT, boat("two"))
    revision = store.revision
    store.delete(BOAT, "default", "two")
    store.merge(BOAT, {"spec": {"length": 9}}, "default", "one")
    store.create(BOAT, boat("three"))
    listed = store.list(BOAT, revision=revision)
    assert [each["metadata"]["name"] for each in listed] == ["one", "two"]
    assert listed[0] == first


def test_a_list_as_of_a_moment_shows_what_was() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    store = Store(now=lambda: now)
    store.register(BOAT)
    store.create(BOAT, boat("one"))
    before, now = now, now + timedelta(seconds=5)
    store.delete(BOAT, "default", "one")
    assert [each["metadata"]["name"] for each in store.list_as_of(before, BOAT)] == ["one"]
    assert store.list_as_of(now, BOAT) == []


def test_a_namespace_takes_its_content_along(store: Store) -> None:
    store.create(NAMESPACE, {"metadata": {"name": "bay"}})
    store.create(BOAT, boat("free"), "bay")
    store.create(BOAT, boat("held", finalizers=["test.dev/hold"]), "bay")
    store.delete(NAMESPACE, "", "bay")
    assert store.get(NAMESPACE, "", "bay")["status"]["phase"] == "Terminating"
    assert [each["metadata"]["name"] for each in store.list(BOAT, namespace="bay")] == ["held"]
    store.merge(BOAT, {"metadata": {"finalizers": []}}, "bay", "held")
    assert store.find(NAMESPACE, "", "bay") is None


def test_a_definition_serves_all_its_versions(store: Store) -> None:
    store.create(CRD, definition("v1alpha1", "v1"))
    store.create(store.resource("test.dev", "v1alpha1", "rafts"), boat())
    read = store.get(store.resource("test.dev", "v1", "rafts"), "default", "one")
    assert (read["apiVersion"], read["kind"]) == ("test.dev/v1", "Raft")


def test_a_changed_definition_serves_what_it_says_now(store: Store) -> None:
    store.create(CRD, definition("v1alpha1", "v1"))
    store.merge(CRD, {"spec": definition("v1")["spec"]}, "", "rafts.test.dev")
    assert store.resource("test.dev", "v1", "rafts").kind == "Raft"
    with pytest.raises(ApiError):
        store.resource("test.dev", "v1alpha1", "rafts")


def test_a_definition_takes_its_objects_along(store: Store) -> None:
    store.create(CRD, definition("v1"))
    rafts = store.resource("test.dev", "v1", "rafts")
    store.create(rafts, boat("held", finalizers=["test.dev/hold"]))
    store.delete(CRD, "", "rafts.test.dev")
    assert store.get(rafts, "default", "held")["metadata"]["deletionTimestamp"]
    store.merge(rafts, {"metadata": {"finalizers": None}}, "default", "held")
    assert store.find(CRD, "", "rafts.test.dev") is None
    with pytest.raises(ApiError):
        store.resource("test.dev", "v1", "rafts")


def test_an_incomplete_definition_is_refused(store: Store) -> None:
    with pytest.raises(ApiError, match=r"spec\.group"):
        store.create(CRD, {"metadata": {"name": "x.test.dev"}, "spec": {}})


def test_orphans_stay(store: Store) -> None:
    top = store.create(BOAT, boat("top"))
    reference = {"kind": "Boat", "name": "top", "uid": top["metadata"]["uid"]}
    store.create(BOAT, boat("child", ownerReferences=[reference]))
    store.delete(BOAT, "default", "top", orphan=True)
    assert "ownerReferences" not in store.get(BOAT, "default", "child")["metadata"]


def test_names_are_generated(store: Store) -> None:
    created = [
        store.create(BOAT, {"metadata": {"generateName": "boat-"}, "spec": {}}) for _ in range(2)
    ]
    names = [each["metadata"]["name"] for each in created]
    assert all(name.startswith("boat-") for name in names)
    assert len(set(names)) == 2


def test_a_bump_of_the_generation_needs_a_changed_spec(store: Store) -> None:
    store.create(BOAT, boat())
    labelled = store.merge(BOAT, {"metadata": {"labels": {"a": "b"}}}, "default", "one")
    changed = store.merge(BOAT, {"spec": {"length": 4}}, "default", "one")
    generations = [each["metadata"]["generation"] for each in (labelled, changed)]
    assert generations == [1, 2]


def test_system_fields_cannot_be_changed(store: Store) -> None:
    created = store.create(BOAT, boat())
    patch = {"metadata": {"creationTimestamp": "2000-01-01T00:00:00Z", "generation": 7}}
    assert store.merge(BOAT, patch, "default", "one") == created


def test_a_put_on_another_uid_conflicts(store: Store) -> None:
    store.create(BOAT, boat())
    with pytest.raises(ApiError) as refused:
        store.update(BOAT, boat(uid="somebody-else"), "default", "one")
    assert refused.value.reason == "Conflict"


def test_a_resource_without_status_has_no_such_path(store: Store) -> None:
    store.create(SECRET, {"metadata": {"name": "key"}})
    with pytest.raises(ApiError) as refused:
        store.merge(SECRET, {"status": {}}, "default", "key", "status")
    assert refused.value.code == 404


def test_events_have_two_faces(store: Store) -> None:
    body = {
        "metadata": {"name": "e"},
        "message": "hello",
        "involvedObject": {"name": "one"},
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    created = store.create(CORE_EVENT, body)
    assert store.get(CORE_EVENT, "default", "e") == created
    new = store.get(EVENT, "default", "e")
    assert (new["note"], new["regarding"]) == ("hello", {"name": "one"})
    assert new["deprecatedLastTimestamp"] == "2026-01-01T00:00:00Z"
    about_one = parse_selector(fields="involvedObject.name=one")
    assert store.list(CORE_EVENT, selector=about_one) == [created]
    assert store.list(EVENT, selector=about_one) == []


def test_delete_all_spares_what_is_not_picked(store: Store) -> None:
    store.create(BOAT, boat("red", labels={"colour": "red"}))
    store.create(BOAT, boat("blue", labels={"colour": "blue"}))
    store.delete_all(BOAT, selector=equal_labels({"colour": "red"}))
    assert [each["metadata"]["name"] for each in store.list(BOAT)] == ["blue"]


STEPS = st.lists(st.tuples(st.sampled_from(["create", "change", "delete"]), st.integers(0, 3)))


@given(STEPS)
def test_replaying_all_changes_gives_the_list(steps: list[tuple[str, int]]) -> None:
    store = Store()
    store.register(BOAT)
    start = store.revision
    for index, (step, number) in enumerate(steps):
        _take(store, step, f"boat-{number}", index)
    replayed: dict[str, Object] = {}
    for change in store.changes_since(start, BOAT):
        if change.type == "DELETED":
            del replayed[change.object["metadata"]["name"]]
        else:
            replayed[change.object["metadata"]["name"]] = change.object
    assert [replayed[name] for name in sorted(replayed)] == store.list(BOAT)
    assert store.list(BOAT, revision=start) == []


def _take(store: Store, step: str, name: str, length: int) -> None:
    exists = store.find(BOAT, "default", name) is not None
    match step:
        case "create" if not exists:
            store.create(BOAT, boat(name))
        case "change" if exists:
            store.merge(BOAT, {"spec": {"length": length}}, "default", name)
        case "delete" if exists:
            store.delete(BOAT, "default", name)
