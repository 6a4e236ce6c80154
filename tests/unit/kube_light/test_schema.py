"""Structural schemas: what is dropped, what is filled in, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from kube_light.schema import check, shape, unknown_fields

SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "port": {"x-kubernetes-int-or-string": True},
                "price": {"type": "string", "pattern": "^[0-9]+$", "minLength": 2},
                "at": {"type": "string", "format": "date-time"},
                "ratio": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                "note": {"type": "string", "nullable": True},
                "tags": {
                    "type": "object",
                    "maxProperties": 2,
                    "additionalProperties": {"type": "string"},
                },
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "conditions": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["type"],
                    "items": {
                        "type": "object",
                        "properties": {"type": {"type": "string"}, "n": {"type": "integer"}},
                    },
                },
                "zones": {
                    "type": "array",
                    "minItems": 1,
                    "x-kubernetes-list-type": "set",
                    "items": {"type": "string"},
                },
                "deep": {
                    "type": "object",
                    "default": {},
                    "properties": {"level": {"type": "integer", "default": 3}},
                },
            },
        }
    },
}


def _spec(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "a/v1", "kind": "A", "metadata": {"any": "thing"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"port": 80}, []),
        ({"port": "http"}, []),
        ({"port": True}, ["spec.port"]),
        ({"price": "12"}, []),
        ({"price": "1"}, ["spec.price"]),
        ({"price": "ab"}, ["spec.price"]),
        ({"price": 12}, ["spec.price"]),
        ({"at": "2026-01-01T10:00:00.5Z"}, []),
        ({"at": "yesterday"}, ["spec.at"]),
        ({"ratio": 0}, ["spec.ratio"]),
        ({"ratio": 0.5}, []),
        ({"note": None}, []),
        ({"price": None}, ["spec.price"]),
        ({"tags": {"a": "b", "c": 1}}, ["spec.tags.c"]),
        ({"tags": {"a": "b", "c": "d", "e": "f"}}, ["spec.tags"]),
        ({"free": {"a": [1, {"b": None}]}}, []),
        ({"conditions": [{"type": "A", "n": 1}, {"type": "A", "n": 2}]}, ["spec.conditions[1]"]),
        ({"conditions": [{"n": "x"}]}, ["spec.conditions[0].n"]),
        ({"zones": []}, ["spec.zones"]),
        ({"zones": ["a", "b", "a"]}, ["spec.zones[2]"]),
        ({"deep": []}, ["spec.deep"]),
        ({"price": "x", "ratio": -1}, ["spec.price", "spec.price", "spec.ratio"]),
    ],
)
def test_wrong_fields_are_named(spec: dict[str, Any], fields: list[str]) -> None:
    assert [each.field for each in check(SCHEMA, _spec(**spec))] == fields


def test_a_missing_field_is_named() -> None:
    causes = check(SCHEMA, {"metadata": {}})
    assert [(each.field, each.reason) for each in causes] == [("spec", "FieldValueRequired")]


def test_unknown_fields_are_dropped_and_named() -> None:
    body = _spec(extra=1, free={"any": 1}, tags={"x": "y"}, conditions=[{"type": "A", "odd": 1}])
    shaped = shape(SCHEMA, body)
    assert shaped["spec"] == {
        "free": {"any": 1},
        "tags": {"x": "y"},
        "conditions": [{"type": "A"}],
        "deep": {"level": 3},
    }
    assert shaped["metadata"] == {"any": "thing"}
    assert unknown_fields(SCHEMA, body) == ["spec.extra", "spec.conditions[0].odd"]


def test_a_null_gives_way_to_the_default() -> None:
    assert shape(SCHEMA, _spec(deep={"level": None}))["spec"]["deep"] == {"level": 3}


def test_shaping_twice_changes_nothing() -> None:
    once = shape(SCHEMA, _spec(extra=1, deep={}))
    assert shape(SCHEMA, once) == once
