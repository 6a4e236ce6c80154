"""The generated CustomResourceDefinitions: structural, bounded, described, with columns that exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from garrison.api.form import INT_OR_STRING
from garrison.api.schema import DEFINITIONS, Column, Definition, crds
from garrison.api.structure import Schema
from tests.unit.api.specs import MINIMAL

CRDS = {each["spec"]["names"]["kind"]: each for each in crds()}
KINDS = sorted(CRDS)
FORBIDDEN = {"$ref", "$defs", "oneOf", "allOf", "not", "additionalProperties", "title", "const"}


def root_of(kind: str) -> Schema:
    root: Schema = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return root


def nodes(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from nodes(f"{path}.{name}", each)
    if "items" in schema:
        yield from nodes(f"{path}[]", schema["items"])


def own_nodes(kind: str) -> Iterator[tuple[str, Schema]]:
    for part in ("spec", "status"):
        yield from nodes(part, root_of(kind)["properties"][part])


def is_bounded(schema: Schema) -> bool:
    if schema.get(INT_OR_STRING):
        return "maxLength" in schema
    match schema["type"]:
        case "string":
            return "maxLength" in schema or "enum" in schema or schema.get("format") == "date-time"
        case "array":
            return "maxItems" in schema
        case _:
            return True


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_and_list_is_bounded(kind: str) -> None:
    assert [path for path, schema in own_nodes(kind) if not is_bounded(schema)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_integers_of_specs_are_bounded(kind: str) -> None:
    for path, schema in nodes("spec", root_of(kind)["properties"]["spec"]):
        if schema.get("type") == "integer":
            assert {"minimum", "maximum"} <= schema.keys(), path


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_structural(kind: str) -> None:
    for path, schema in own_nodes(kind):
        assert not FORBIDDEN & schema.keys(), path
        assert ("type" in schema) != bool(schema.get(INT_OR_STRING)), path


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_spec_is_described(kind: str) -> None:
    for path, schema in nodes("spec", root_of(kind)["properties"]["spec"]):
        assert schema.get("description") or path.endswith("[]"), path


@pytest.mark.parametrize("kind", KINDS)
def test_a_status_has_no_rules_and_no_defaults(kind: str) -> None:
    for path, schema in nodes("status", root_of(kind)["properties"]["status"]):
        assert "default" not in schema, path
        assert "x-kubernetes-validations" not in schema, path


@pytest.mark.parametrize("kind", KINDS)
def test_conditions_merge_by_type(kind: str) -> None:
    conditions = root_of(kind)["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_environment_merges_by_name() -> None:
    env = root_of("InferenceWorkload")["properties"]["spec"]["properties"]["env"]
    assert env["x-kubernetes-list-map-keys"] == ["name"]


def test_only_what_is_needed_is_required() -> None:
    workload = root_of("InferenceWorkload")
    assert workload["required"] == ["spec"]
    assert sorted(workload["properties"]["spec"]["required"]) == ["image", "port", "resources"]


def test_sections_default_so_that_their_fields_do() -> None:
    health = root_of("InferenceWorkload")["properties"]["spec"]["properties"]["health"]
    assert health["default"] == {}
    assert health["properties"]["path"]["default"] == "/health"


@pytest.mark.parametrize("kind", KINDS)
def test_items_of_lists_have_no_defaults(kind: str) -> None:
    for path, schema in own_nodes(kind):
        assert "[]" not in path or "default" not in schema, path


def test_optional_sections_stay_away() -> None:
    resources = root_of("InferenceWorkload")["properties"]["spec"]["properties"]["resources"]
    assert "default" not in resources["properties"]["gpu"]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.kind.kind)
def test_columns_show_fields_that_exist(definition: Definition) -> None:
    root = root_of(definition.kind.kind)
    for column in definition.columns:
        if not column.path.startswith(".metadata"):
            assert _exists(root, column), column


def _exists(root: Schema, column: Column) -> bool:
    if column.path.startswith(".status.conditions[?"):
        return True
    node: Any = root
    for step in column.path.removeprefix(".").split("."):
        node = node.get("properties", {}).get(step)
        if node is None:
            return False
    return bool(node["type"] == column.type)


def test_workloads_scale() -> None:
    subresources = CRDS["InferenceWorkload"]["spec"]["versions"][0]["subresources"]
    status = root_of("InferenceWorkload")["properties"]["status"]["properties"]
    assert subresources["scale"]["specReplicasPath"] == ".spec.replicas"
    assert subresources["scale"]["statusReplicasPath"] == ".status.replicas"
    assert subresources["scale"]["labelSelectorPath"] == ".status.selector"
    assert {"replicas", "selector"} <= status.keys()


def test_names_are_those_that_people_type() -> None:
    short = {kind: crd["spec"]["names"]["shortNames"] for kind, crd in CRDS.items()}
    assert short == {
        "InferenceWorkload": ["iw"],
        "AkashLease": ["al"],
        "AkashAccount": ["aa"],
        "AkashProvider": ["ap"],
        "ProviderPolicy": ["pp"],
        "EgressPolicy": ["egp"],
        "RotatingSecret": ["rsec"],
    }
    assert {tuple(crd["spec"]["names"]["categories"]) for crd in CRDS.values()} == {("garrison",)}
    assert MINIMAL.keys() == CRDS.keys()
