"""Structural schemas of CRDs: defaults, pruning, and the checks of OpenAPI v3.

CEL rules (``x-kubernetes-validations``) are NOT evaluated: test those on a real API server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from kube_light.document import clone
from kube_light.errors import Cause
from kube_light.resource import Object

Schema: TypeAlias = Mapping[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
OPEN: Schema = {PRESERVE: True}
UNTOUCHED = frozenset({"apiVersion", "kind", "metadata"})

DATE_TIME = re.compile(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$", re.ASCII)
"""RFC 3339; other formats are not looked at."""

PRIMITIVES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


def shape(schema: Schema, body: Object) -> Object:
    """Return an object without fields the schema lacks and with the schema's defaults."""
    inner = {key: value for key, value in body.items() if key not in UNTOUCHED}
    kept = {key: value for key, value in body.items() if key in UNTOUCHED}
    properties = {k: v for k, v in schema.get("properties", {}).items() if k not in UNTOUCHED}
    return {**kept, **_shaped({**schema, "properties": properties}, inner)}


def check(schema: Schema, body: Object) -> list[Cause]:
    """Return everything about an object that the schema forbids."""
    inner = {key: value for key, value in body.items() if key not in UNTOUCHED}
    required = [key for key in schema.get("required", ()) if key not in UNTOUCHED]
    return list(_causes({**schema, "required": required}, inner, ""))


def unknown_fields(schema: Schema, body: Object) -> list[str]:
    """Return the paths of the fields that ``shape`` would drop."""
    inner = {key: value for key, value in body.items() if key not in UNTOUCHED}
    return list(_unknown(schema, inner, ""))


def _unknown(schema: Schema, value: Any, path: str) -> Iterator[str]:
    match value:
        case list():
            for index, each in enumerate(value):
                items = OPEN if schema.get(PRESERVE) else schema.get("items") or {}
                yield from _unknown(items, each, f"{path}[{index}]")
        case dict():
            for key, each in value.items():
                inner = _field(schema, key)
                if inner is None:
                    yield _join(path, key)
                else:
                    yield from _unknown(inner, each, _join(path, key))


def _field(schema: Schema, key: str) -> Schema | None:
    """Return a field's schema, OPEN where anything goes, None where it is unknown."""
    properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
    if key in properties:
        known: Schema = properties[key]
        return known
    if isinstance(extra, Mapping):
        return extra
    return OPEN if extra is True or schema.get(PRESERVE) else None


def _shaped(schema: Schema, value: Any) -> Any:
    match value:
        case dict():
            return _shaped_object(schema, value)
        case list():
            items = OPEN if schema.get(PRESERVE) else schema.get("items") or {}
            return [_shaped(items, each) for each in value]
        case _:
            return value


def _shaped_object(schema: Schema, value: Object) -> Object:
    properties = schema.get("properties", {})
    result: Object = {}
    for key, each in value.items():
        inner = _field(schema, key)
        dropped = each is None and key in properties and not properties[key].get("nullable")
        if inner is not None and not dropped:
            result[key] = _shaped(inner, each)
    for key, each in properties.items():
        if key not in result and "default" in each:
            result[key] = _shaped(each, clone(each["default"]))
    return result


def _causes(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    if value is None and schema.get("nullable"):
        return
    if not _has_type(schema, value):
        expected = schema.get("type", "integer or string")
        yield _wrong(path, value, f"must be of type {expected}: {_type_of(value)}")
        return
    yield from _enum(schema, value, path)
    match value:
        case str():
            yield from _string(schema, value, path)
        case bool():
            return
        case int() | float():
            yield from _number(schema, value, path)
        case list():
            yield from _list(schema, value, path)
        case dict():
            yield from _object(schema, value, path)


def _has_type(schema: Schema, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    expected: str | None = schema.get("type")
    if expected is None:
        return True
    if isinstance(value, bool):
        return expected == "boolean"
    if isinstance(value, float) and value.is_integer() and expected == "integer":
        return True
    return isinstance(value, PRIMITIVES[expected])


def _type_of(value: Any) -> str:
    if value is None:
        return '"null"'
    names = (name for name, types in PRIMITIVES.items() if type(value) in types)
    return f'"{next(names, type(value).__name__)}"'


def _enum(schema: Schema, value: Any, path: str) -> Iterator[Cause]:
    allowed = schema.get("enum")
    if allowed is not None and value not in allowed:
        names = ", ".join(json.dumps(each) for each in allowed)
        yield Cause(
            field=path or "<root>",
            message=f"Unsupported value: {json.dumps(value)}: supported values: {names}",
            reason="FieldValueNotSupported",
        )


def _string(schema: Schema, value: str, path: str) -> Iterator[Cause]:
    if len(value) > schema.get("maxLength", len(value)):
        text = f"Too long: may not be more than {schema['maxLength']} bytes"
        yield Cause(field=path, message=text, reason="FieldValueTooLong")
    if len(value) < schema.get("minLength", 0):
        yield _wrong(path, value, f"should be at least {schema['minLength']} chars long")
    if schema.get("format") == "date-time" and not DATE_TIME.match(value):
        yield _wrong(path, value, f"must be of type date-time: {json.dumps(value)}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield _wrong(path, value, f"should match '{schema['pattern']}'")


def _number(schema: Schema, value: float, path: str) -> Iterator[Cause]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
        yield _wrong(path, value, f"should be greater than or equal to {low}")
    if high is not None and (value > high or (schema.get("exclusiveMaximum") and value == high)):
        yield _wrong(path, value, f"should be less than or equal to {high}")
    if (step := schema.get("multipleOf")) and value % step:
        yield _wrong(path, value, f"should be a multiple of {step}")


def _list(schema: Schema, value: list[Any], path: str) -> Iterator[Cause]:
    count = len(value)
    if count > schema.get("maxItems", count):
        text = f"Too many: {count}: must have at most {schema['maxItems']} items"
        yield Cause(field=path, message=text, reason="FieldValueTooMany")
    if count < schema.get("minItems", 0):
        yield _wrong(path, value, f"should have at least {schema['minItems']} items")
    yield from _duplicates(schema, value, path)
    for index, each in enumerate(value):
        yield from _causes(schema.get("items") or {}, each, f"{path}[{index}]")


def _duplicates(schema: Schema, value: list[Any], path: str) -> Iterator[Cause]:
    match schema.get("x-kubernetes-list-type"):
        case "set":
            identities = [json.dumps(each, sort_keys=True) for each in value]
        case "map":
            keys = schema.get("x-kubernetes-list-map-keys", ())
            dicts = (each if isinstance(each, dict) else {} for each in value)
            identities = [json.dumps([each.get(key) for key in keys]) for each in dicts]
        case _:
            return
    for index, each in enumerate(identities):
        if each in identities[:index]:
            text = f"Duplicate value: {each}"
            yield Cause(field=f"{path}[{index}]", message=text, reason="FieldValueDuplicate")


def _object(schema: Schema, value: Object, path: str) -> Iterator[Cause]:
    for key in schema.get("required", ()):
        if key not in value:
            field = _join(path, key)
            yield Cause(field=field, message="Required value", reason="FieldValueRequired")
    count = len(value)
    if count > schema.get("maxProperties", count):
        text = f"Too many: {count}: must have at most {schema['maxProperties']} items"
        yield Cause(field=path, message=text, reason="FieldValueTooMany")
    if count < schema.get("minProperties", 0):
        yield _wrong(path, value, f"should have at least {schema['minProperties']} properties")
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties")
    for key, each in value.items():
        inner = properties.get(key, extra if isinstance(extra, Mapping) else None)
        if inner is not None:
            yield from _causes(inner, each, _join(path, key))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _wrong(path: str, value: Any, why: str) -> Cause:
    field = path or "<root>"
    shown = json.dumps(value) if not isinstance(value, dict | list) else _type_of(value)
    return Cause(field=field, message=f"Invalid value: {shown}: {field} in body {why}")
