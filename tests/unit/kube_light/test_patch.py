"""Patches against the examples of their RFCs, and server-side apply's rules."""

from __future__ import annotations

from typing import Any

import pytest

from kube_light.errors import ApiError
from kube_light.patch import apply, json_patch, merge


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_follow_rfc_7396(target: Any, patch: Any, expected: Any) -> None:
    assert merge(target, patch) == expected


@pytest.mark.parametrize(
    ("target", "operation", "expected"),
    [
        ({"a": 1}, {"op": "add", "path": "/b", "value": 2}, {"a": 1, "b": 2}),
        ({"a": [1, 3]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2, 3]}),
        ({"a": [1]}, {"op": "add", "path": "/a/-", "value": 2}, {"a": [1, 2]}),
        ({"a": [1, 2]}, {"op": "remove", "path": "/a/0"}, {"a": [2]}),
        ({"a": 1}, {"op": "replace", "path": "/a", "value": 2}, {"a": 2}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a/b", "path": "/c"}, {"a": {}, "c": 1}),
        ({"a": [1]}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}),
        ({"a/b~c": 1}, {"op": "test", "path": "/a~1b~0c", "value": 1}, {"a/b~c": 1}),
        ({"a": 1}, {"op": "replace", "path": "", "value": {"b": 2}}, {"b": 2}),
    ],
)
def test_json_patches_follow_rfc_6902(target: Any, operation: Any, expected: Any) -> None:
    assert json_patch(target, [operation]) == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "add", "path": "/none/b", "value": 1},
    ],
)
def test_a_step_that_does_not_hold_is_refused(operation: Any) -> None:
    target = {"a": 1, "list": [1]}
    with pytest.raises(ApiError) as refused:
        json_patch(target, [{"op": "add", "path": "/b", "value": 1}, operation])
    assert refused.value.code == 422
    assert target == {"a": 1, "list": [1]}


def test_an_unknown_operation_is_a_bad_request() -> None:
    with pytest.raises(ApiError, match="leap"):
        json_patch({}, [{"op": "leap", "path": "/a"}])


def test_apply_sets_and_removes_only_its_own() -> None:
    target = {"metadata": {"labels": {"mine": "1", "yours": "2"}}, "spec": {"a": 1, "b": 2}}
    before = {"metadata": {"labels": {"mine": "1"}}, "spec": {"a": 1}}
    intent = {"metadata": {}, "spec": {"c": 3}}
    assert apply(target, before, intent) == {
        "metadata": {"labels": {"yours": "2"}},
        "spec": {"b": 2, "c": 3},
    }


def test_apply_merges_finalizers_and_owners_as_sets() -> None:
    target = {"metadata": {"finalizers": ["yours", "old"], "ownerReferences": [{"uid": "1"}]}}
    before = {"metadata": {"finalizers": ["old"]}}
    intent = {"metadata": {"finalizers": ["mine"], "ownerReferences": [{"uid": "2"}]}}
    assert apply(target, before, intent) == {
        "metadata": {
            "finalizers": ["yours", "mine"],
            "ownerReferences": [{"uid": "1"}, {"uid": "2"}],
        }
    }
