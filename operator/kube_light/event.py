"""Events have two faces, core/v1 and events.k8s.io/v1, over the same stored objects."""

from __future__ import annotations

from typing import Any

from kube_light.document import clone
from kube_light.resource import CORE_EVENT, EVENT, Object, Resource

TO_CORE = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedCount": "count",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
}
FROM_CORE = {core: name for name, core in TO_CORE.items()}


def outward(resource: Resource, stored: Object) -> Object:
    """Return a copy of a stored object as a resource's version shows it."""
    return clone(shown(resource, stored))  # type: ignore[no-any-return]


def shown(resource: Resource, stored: Object) -> Object:
    """Return a stored object as a resource's version shows it, its parts shared: only to be read."""
    return _faced(resource, stored, TO_CORE if resource is CORE_EVENT else {})


def inward(resource: Resource, body: Object) -> Object:
    """Return a copy of a request's object as it is stored."""
    if resource is CORE_EVENT:
        return clone(_faced(EVENT, body, FROM_CORE))  # type: ignore[no-any-return]
    return clone(_faced(resource, body, {}))  # type: ignore[no-any-return]


def _faced(resource: Resource, body: Object, names: dict[str, str]) -> Object:
    result: dict[str, Any] = {"apiVersion": resource.api_version, "kind": resource.kind}
    for key, value in body.items():
        if key not in result:
            result[names.get(key, key)] = value
    return result
