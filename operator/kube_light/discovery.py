"""What clients ask to learn which resources there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kube_light.errors import unknown_path
from kube_light.resource import Object, Resource

VERSION = {"major": "1", "minor": "34", "gitVersion": "v1.34.0-light", "platform": "linux/amd64"}
"""The Kubernetes release whose answers are imitated."""

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
SUBRESOURCE_VERBS = ("get", "patch", "update")


def discover(resources: Sequence[Resource], parts: Sequence[str]) -> Object | None:
    """Return the document of a discovery path; None when the path is none.

    ApiError 404 for a group or a version that is not served.
    """
    match parts:
        case ["version"]:
            return dict(VERSION)
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            names = dict.fromkeys(each.group for each in resources if each.group)
            groups = [_group(resources, name) for name in names]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group]:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(resources, group)}
        case ["api", version]:
            return _resource_list(resources, version)
        case ["apis", group, version]:
            return _resource_list(resources, f"{group}/{version}")
        case ["openapi", "v3", *rest]:
            return _openapi(resources, "/".join(rest))
        case _:
            return None


def _group(resources: Sequence[Resource], group: str) -> Object:
    names = list(dict.fromkeys(each.version for each in resources if each.group == group))
    if not names:
        raise unknown_path(f"apis/{group}")
    versions = [{"groupVersion": f"{group}/{name}", "version": name} for name in names]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resource_list(resources: Sequence[Resource], api_version: str) -> Object:
    served = [each for each in resources if each.api_version == api_version]
    if not served:
        raise unknown_path(api_version)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": [entry for each in served for entry in _entries(each)],
    }


def _entries(resource: Resource) -> list[Object]:
    main = {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(VERBS),
        "shortNames": list(resource.short_names),
        "categories": list(resource.categories),
    }
    entries: list[Object] = [main]
    if resource.status:
        entries.append(_subresource(resource, "status", {"kind": resource.kind}))
    if resource.scale:
        scale = {"kind": "Scale", "group": "autoscaling", "version": "v1"}
        entries.append(_subresource(resource, "scale", scale))
    return entries


def _subresource(resource: Resource, name: str, kind: Object) -> Object:
    return {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "verbs": list(SUBRESOURCE_VERBS),
        **kind,
    }


def _openapi(resources: Sequence[Resource], path: str) -> Object:
    """Return as much of OpenAPI v3 as kubectl needs to trust the server with validation."""
    roots = {_root(each): None for each in resources}
    if not path:
        return {"paths": {each: {"serverRelativeURL": f"/openapi/v3/{each}"} for each in roots}}
    if path not in roots:
        raise unknown_path(f"openapi/v3/{path}")
    paths = dict(_operation(each) for each in resources if _root(each) == path)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": {}},
    }


def _root(resource: Resource) -> str:
    return f"{'apis' if resource.group else 'api'}/{resource.api_version}"


def _operation(resource: Resource) -> tuple[str, Any]:
    within = "/namespaces/{namespace}" if resource.namespaced else ""
    text = {"type": "string"}
    names = ("fieldValidation", "dryRun")
    patch = {
        "parameters": [{"name": name, "in": "query", "schema": text} for name in names],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": {
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        },
    }
    return f"/{_root(resource)}{within}/{resource.plural}/{{name}}", {"patch": patch}
