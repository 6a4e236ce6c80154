"""What the operator writes into a status is what the API server keeps: nothing refused or pruned."""

from __future__ import annotations

from typing import Any

import pytest

from garrison.adapters.kube.client import KubeClient
from garrison.api.meta import Kind
from garrison.api.parsing import dump, parse
from garrison.api.schema import DEFINITIONS, Definition, status_schema
from garrison.api.structure import Schema
from garrison.ports.kube import Object
from tests.unit.api.specs import MINIMAL, body

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("controlplane")]


def sample(schema: Schema, *, most: bool) -> Any:
    """A value with every field set: at its upper bound, or at its lower one."""
    if "enum" in schema:
        return schema["enum"][-1 if most else 0]
    match schema["type"]:
        case "object":
            fields = schema.get("properties", {}).items()
            return {name: sample(each, most=most) for name, each in fields}
        case "array":
            return [sample(schema["items"], most=most)]
        case "integer":
            return schema.get("maximum", 2**53) if most else schema.get("minimum", 0)
        case "boolean":
            return most
        case "string" if schema.get("format") == "date-time":
            return "2026-11-23T12:00:00.123456Z" if most else "2026-11-23T12:00:00Z"
        case _:
            return _text(schema, most=most)


def _text(schema: Schema, *, most: bool) -> str:
    if schema["maxLength"] == PRICE_LENGTH:
        return "9999999.999999" if most else "0"
    length: int = schema["maxLength"] if most else schema.get("minLength", 0)
    return "\u00e4" * length


PRICE_LENGTH = 14
"""Of the statuses' texts only prices have a form, and only they have this length."""


async def kept(kube: KubeClient, kind: Kind, status: Object) -> Object:
    """The status that the API server has after it was given this one."""
    made = await kube.create(kind, body(kind, MINIMAL[kind.kind], "reported"))
    meta = made["metadata"]
    where = (kind, meta.get("namespace", ""), meta["name"])
    version = meta["resourceVersion"]
    try:
        after = await kube.replace_status(*where, status=status, resource_version=version)
    finally:
        await kube.delete(*where)
    found: Object = after["status"]
    return found


@pytest.mark.parametrize("most", [False, True], ids=["least", "most"])
@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.kind.kind)
async def test_a_full_status_survives(kube: KubeClient, definition: Definition, most: bool) -> None:
    raw = sample(status_schema(definition), most=most)
    written = dump(definition.status, parse(definition.status, raw, "status"))
    assert await kept(kube, definition.kind, written) == written


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.kind.kind)
async def test_the_first_status_survives(kube: KubeClient, definition: Definition) -> None:
    written = dump(definition.status, parse(definition.status, {}, "status"))
    assert await kept(kube, definition.kind, written) == written
