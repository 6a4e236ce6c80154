"""The scale subresource: replicas of any object under one shape (autoscaling/v1 Scale)."""

from __future__ import annotations

from kube_light.document import clone, look, put
from kube_light.errors import Cause, invalid, unknown_path
from kube_light.resource import Object, Resource, Scale


def view(resource: Resource, body: Object) -> Object:
    """Return an object's Scale; ApiError 404 when its resource has none."""
    paths = _paths(resource)
    meta = body["metadata"]
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": look(body, paths.status_path) or 0}
    if paths.selector_path and (selector := look(body, paths.selector_path)):
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: meta[name] for name in names if name in meta},
        "spec": {"replicas": look(body, paths.spec_path) or 0},
        "status": status,
    }


def rescaled(resource: Resource, body: Object, wanted: Object) -> Object:
    """Return an object with the replicas, and under the resourceVersion, of a Scale."""
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        cause = Cause(field="spec.replicas", message=text)
        raise invalid(resource, body["metadata"]["name"], [cause])
    new: Object = clone(body)
    put(new, _paths(resource).spec_path, replicas)
    if version := (wanted.get("metadata") or {}).get("resourceVersion"):
        new["metadata"]["resourceVersion"] = version
    return new


def _paths(resource: Resource) -> Scale:
    if resource.scale is None:
        raise unknown_path(f"{resource.full_name}/scale")
    return resource.scale
