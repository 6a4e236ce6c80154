"""What a request is about: the path and the body of an API call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from kube_light.errors import ApiError, bad_request, unknown_path
from kube_light.resource import Object, Resource
from kube_light.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A collection when ``name`` is ""; cluster-wide when ``namespace`` is ""."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def find_target(store: Store, parts: Sequence[str]) -> Target:
    """Return what ``/api/v1/…`` or ``/apis/GROUP/VERSION/…`` names; ApiError 404 when nothing."""
    match parts:
        case ["api", version, *rest] if rest:
            return _within(store, "", version, rest)
        case ["apis", group, version, *rest] if rest:
            return _within(store, group, version, rest)
        case _:
            raise unknown_path("/".join(parts))


def _within(store: Store, group: str, version: str, rest: Sequence[str]) -> Target:
    namespace = ""
    match rest:
        case ["namespaces", _] | ["namespaces", _, "status" | "finalize"]:
            pass
        case ["namespaces", namespace, *inner]:
            rest = inner
    plural, name, subresource, *more = (*rest, "", "")[: max(3, len(rest))]
    if more:
        raise unknown_path("/".join(rest))
    resource = store.resource(group, version, plural)
    if bool(namespace) > resource.namespaced:
        raise unknown_path(f"{resource.full_name} in a namespace")
    return Target(resource=resource, namespace=namespace, name=name, subresource=subresource)


def parse_object(data: bytes, content_type: str) -> Object:
    """Return the object of a body; {} for an empty one."""
    body = _parse(data, content_type)
    if not isinstance(body, dict):
        raise bad_request("the body is no object")
    return body


def parse_operations(data: bytes) -> Sequence[Object]:
    """Return the steps of a JSON Patch."""
    body = _parse(data, "application/json")
    if not isinstance(body, list) or not all(isinstance(each, dict) for each in body):
        raise bad_request("a JSON Patch is a list of objects")
    return body


def _parse(data: bytes, content_type: str) -> Any:
    if "protobuf" in content_type or "cbor" in content_type:
        text = f"the body of the request was in an unsupported format: {content_type}; send JSON, as kubectl apply does"
        raise ApiError(415, "UnsupportedMediaType", text)
    try:
        return (yaml.safe_load(data) if "yaml" in content_type else json.loads(data or b"{}")) or {}
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"the body cannot be read as {content_type}: {error}") from error
