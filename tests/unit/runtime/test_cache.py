"""The cache against watches that deliver late, twice and out of order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from garrison.api.meta import Raw
from garrison.runtime.cache import REMEMBERED_DELETIONS, Cache
from tests.unit.runtime.objects import boat, key

RED = ("colour", "red")
BLUE = ("colour", "blue")


def _names(found: list[Raw]) -> list[str]:
    return [each["metadata"]["name"] for each in found]


def test_the_newest_version_wins_in_whatever_order() -> None:
    cache = Cache()
    assert cache.put(boat(version=9))
    assert not cache.put(boat(version=9))
    assert not cache.put(boat(version=8))
    assert cache.put(boat(version=10))
    found = cache.get(key())
    assert found is not None
    assert found["metadata"]["resourceVersion"] == "10"


def test_a_deleted_incarnation_never_comes_back_but_a_new_one_does() -> None:
    cache = Cache()
    cache.put(boat(version=3, uid="first"))
    cache.remove(key(), "first")
    assert not cache.put(boat(version=4, uid="first"))
    assert cache.get(key()) is None
    assert cache.put(boat(version=2, uid="second"))


def test_a_late_deletion_of_the_predecessor_spares_the_successor() -> None:
    cache = Cache()
    cache.put(boat(version=5, uid="second"))
    cache.remove(key(), "first")
    assert cache.get(key()) is not None
    assert not cache.put(boat(version=9, uid="first"))


def test_a_deletion_that_overtakes_its_creation_holds() -> None:
    cache = Cache()
    cache.remove(key(), "first")
    assert not cache.put(boat(version=1, uid="first"))


def test_the_memory_of_deletions_is_bounded() -> None:
    cache = Cache()
    for number in range(REMEMBERED_DELETIONS + 1):
        cache.remove(key(), f"uid-{number}")
    assert cache.put(boat(version=1, uid="uid-0"))
    assert not cache.put(boat("two", uid=f"uid-{REMEMBERED_DELETIONS}"))


def test_listing_filters_by_namespace_and_label_and_is_ordered() -> None:
    cache = Cache()
    for name, namespace, colour in (
        ("b", "bay", "red"),
        ("a", "bay", "red"),
        ("c", "bay", "blue"),
        ("d", "sea", "red"),
    ):
        cache.put(boat(name, uid=name, namespace=namespace, labels={"colour": colour}))
    cache.put({**boat("mate", uid="m", labels={"colour": "red"}), "kind": "Crew"})
    assert _names(list(cache.list("Boat"))) == ["a", "b", "c", "d"]
    assert _names(list(cache.list("Boat", namespace="bay"))) == ["a", "b", "c"]
    assert _names(list(cache.list("Boat", label=RED))) == ["a", "b", "d"]
    assert _names(list(cache.list("Boat", namespace="bay", label=RED))) == ["a", "b"]
    assert _names(list(cache.list("Raft"))) == []
    assert [each.name for each in cache.keys("Boat")] == ["a", "b", "c", "d"]


def test_a_changed_label_moves_the_object_in_the_index() -> None:
    cache = Cache()
    cache.put(boat(version=1, labels={"colour": "red"}))
    cache.put(boat(version=2, labels={"colour": "blue"}))
    assert cache.list("Boat", namespace="bay", label=RED) == []
    assert _names(list(cache.list("Boat", namespace="bay", label=BLUE))) == ["one"]
    cache.remove(key())
    assert cache.list("Boat", namespace="bay", label=BLUE) == []


def test_null_labels_are_no_labels() -> None:
    cache = Cache()
    assert cache.put(boat(version=1, labels=None))
    assert cache.list("Boat", namespace="bay", label=RED) == []


def test_listeners_hear_of_every_change_and_of_nothing_else() -> None:
    cache = Cache()
    heard: list[tuple[Raw | None, Raw | None]] = []
    cache.subscribe(lambda old, new: heard.append((old, new)))
    first, second = boat(version=1), boat(version=2)
    cache.put(first)
    cache.put(first)
    cache.put(second)
    cache.remove(key("unknown"))
    cache.remove(key(), "another uid")
    cache.remove(key(), "uid-one")
    cache.remove(key(), "uid-one")
    assert heard == [(None, first), (first, second), (second, None)]


@given(
    versions=st.lists(st.integers(1, 30), min_size=1, max_size=30),
    colours=st.lists(st.sampled_from(["red", "blue"]), min_size=30, max_size=30),
)
def test_any_delivery_ends_at_the_newest_and_the_index_agrees(
    versions: list[int], colours: list[str]
) -> None:
    cache = Cache()
    for version in versions:
        cache.put(boat(version=version, labels={"colour": colours[version - 1]}))
    newest = max(versions)
    expected = boat(version=newest, labels={"colour": colours[newest - 1]})
    assert cache.get(key()) == expected
    for label in (RED, BLUE):
        listed = cache.list("Boat", namespace="bay", label=label)
        assert list(listed) == ([expected] if label[1] == colours[newest - 1] else [])
