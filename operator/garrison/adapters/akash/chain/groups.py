"""The SDL library's JSON of a group to the chain's message.

The library writes ``size`` and ``null`` where the chain's JSON has ``quantity`` and ``[]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from akash_proto.rest import parse
from akash_proto.schema.akash_deployment_v1beta4_pb2 import GroupSpec

Json: TypeAlias = Mapping[str, Any]


def group_spec(group: Json) -> GroupSpec:
    """Return a compiled group (``sdl.Compiled.groups``) as the chain's message."""
    units = [{**unit, "resource": _resource(unit["resource"])} for unit in group["resources"]]
    return parse(GroupSpec, {**group, "resources": units})


def _resource(resource: Json) -> Json:
    return {
        **resource,
        "memory": _quantity(resource["memory"]),
        "storage": [_quantity(each) for each in resource["storage"]],
    }


def _quantity(part: Json) -> Json:
    return {("quantity" if name == "size" else name): value for name, value in part.items()}
