"""Structural schemas from dataclasses: JSON schema without references, as an API server takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pydantic import TypeAdapter

from garrison.api.form import INT_OR_STRING, RULES
from garrison.api.rules import OBJECT_RULES

Schema: TypeAlias = dict[str, Any]

INT32 = 2**31 - 1
_KEPT = (
    "type",
    "description",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "format",
)
_KEYED_LISTS = {"Condition": "type", "EnvVar": "name", "LocalRef": "name"}


def validations(rules: Sequence[tuple[str, str]]) -> Schema:
    """Return CEL rules and their messages as a schema states them."""
    if not rules:
        return {}
    return {"x-kubernetes-validations": [{"rule": rule, "message": text} for rule, text in rules]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Turns JSON schema with references into a structural schema without."""

    definitions: Mapping[str, Schema]
    checked: bool
    in_list: bool = False
    """No defaults there: the server would fill them in, and every `kubectl apply` take them out."""

    @classmethod
    def of(cls, adapter: TypeAdapter[Any], *, checked: bool) -> Schema:
        """Return the structural schema of a dataclass; unchecked, without defaults and rules."""
        raw = adapter.json_schema(by_alias=True)
        return cls(definitions=raw.get("$defs", {}), checked=checked).convert(raw)

    def convert(self, raw: Schema) -> Schema:
        """Return the structural form of one node."""
        node = self._resolved(raw)
        if node.get(INT_OR_STRING) and self.checked:
            return self._int_or_string(node)
        result: Schema = {key: node[key] for key in _KEPT if key in node}
        match node.get("type"):
            case "object":
                result |= self._object(node)
            case "array":
                result |= self._array(node)
            case "integer":
                result["format"] = "int32" if node.get("maximum", INT32 + 1) <= INT32 else "int64"
            case _:
                pass
        return self._finished(result, node)

    def _resolved(self, raw: Schema) -> Schema:
        node = dict(raw)
        if "anyOf" in node:
            present = [each for each in node.pop("anyOf") if each.get("type") != "null"]
            if len(present) != 1:
                raise ValueError(f"a field of several types has no structural schema: {present}")
            node = {**present[0], **node}
        if "$ref" in node:
            name = node.pop("$ref").rpartition("/")[2]
            node = {**self.definitions[name], **node, "title": name}
        if "const" in node:
            node["enum"] = [node["const"]]
        if "description" in node:
            node["description"] = " ".join(node["description"].replace("``", "`").split())
        return node

    def _finished(self, result: Schema, node: Schema) -> Schema:
        if not self.checked:
            return result
        default = node.get("default")
        if default not in (None, "", []) and not self.in_list:
            result["default"] = default
        rules = [(each["rule"], each["message"]) for each in node.get(RULES, [])]
        if node.get("type") == "object":
            rules += OBJECT_RULES.get(node.get("title", ""), ())
        return result | validations(rules)

    def _int_or_string(self, node: Schema) -> Schema:
        result: Schema = {key: node[key] for key in ("description", "maxLength") if key in node}
        result |= {INT_OR_STRING: True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
        return self._finished(result, node)

    def _object(self, node: Schema) -> Schema:
        required = node.get("required", [])
        properties = {
            name: self._property(each, optional=name not in required)
            for name, each in node.get("properties", {}).items()
        }
        ordered = dict(sorted(properties.items(), key=lambda item: item[0] not in required))
        result: Schema = {"properties": ordered} if ordered else {}
        return result | ({"required": required} if required else {})

    def _property(self, raw: Schema, *, optional: bool) -> Schema:
        result = self.convert(raw)
        is_section = "$ref" in raw and result.get("type") == "object"
        is_defaulted = self.checked and optional and not self.in_list
        if is_section and is_defaulted and "required" not in result:
            result["default"] = {}
        return result

    def _array(self, node: Schema) -> Schema:
        name = node["items"].get("$ref", "").rpartition("/")[2]
        items = replace(self, in_list=True).convert(node["items"])
        result: Schema = {"items": items, "x-kubernetes-list-type": "atomic"}
        if name in _KEYED_LISTS:
            keys = [_KEYED_LISTS[name]]
            result |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
        return result
