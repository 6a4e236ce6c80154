"""What the server makes of an object before it is stored: identity, defaults, checks."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from kube_light import definition, schema
from kube_light.document import deleting, finalizers_of
from kube_light.errors import (
    Cause,
    bad_request,
    conflict,
    invalid,
    not_found,
    stale,
    terminating,
    unknown_path,
)
from kube_light.event import inward
from kube_light.resource import CRD, NAMESPACE, SECRET, Object, Resource

DNS_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")

SYSTEM_FIELDS = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
)

OPTIONAL_FIELDS = ("labels", "annotations", "finalizers", "ownerReferences", "managedFields")


def admit_new(resource: Resource, body: Object, namespace: str, uid: Callable[[], str]) -> Object:
    """Return the object to be created, named, in its namespace, shaped by its schema."""
    _check_type(resource, body)
    new = inward(resource, body)
    given = new.get("metadata") or {}
    if given.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    meta = {key: value for key, value in given.items() if key not in SYSTEM_FIELDS}
    meta["name"] = given.get("name") or _generated(given, uid)
    if resource.namespaced:
        meta["namespace"] = _namespace(given, namespace)
    new["metadata"] = meta
    if resource.status:
        new.pop("status", None)
    if resource is NAMESPACE:
        new |= {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    return _normal(resource, new)


def check_namespace(resource: Resource, meta: Object, namespace: Object | None) -> None:
    """Raise ApiError when nothing can be created in a namespace."""
    if namespace is None:
        raise not_found(NAMESPACE, meta["namespace"])
    if deleting(namespace):
        raise terminating(resource, meta["name"], meta["namespace"])


def check_preconditions(
    resource: Resource, meta: Object, uid: str | None, resource_version: str | None
) -> None:
    """Raise a 409 when the stored object is not the one that the caller means."""
    if uid and uid != meta["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta['uid']}"
        raise conflict(resource, meta["name"], why)
    if resource_version and resource_version != meta["resourceVersion"]:
        raise stale(resource, meta["name"])


def admit_update(resource: Resource, old: Object, new: Object, subresource: str) -> Object:
    """Return the object to be stored in place of ``old``."""
    if subresource == "status":
        merged = _with_status(resource, old, new)
    else:
        merged = _with_content(resource, old, new)
    result = _normal(resource, merged)
    if subresource != "status" and _content(resource, result) != _content(resource, old):
        _next_generation(result)
    _check_finalizers(resource, old, result)
    validate(resource, result)
    return result


def validate(resource: Resource, body: Object) -> None:
    """Raise a 422 that names every wrong field."""
    name = body["metadata"]["name"]
    causes = [] if DNS_SUBDOMAIN.match(name) and len(name) <= 253 else [_bad_name(name)]
    if resource is CRD:
        causes += definition.problems(body)
    if resource.schema is not None:
        causes += schema.check(resource.schema, body)
    if causes:
        raise invalid(resource, name, causes)


def _check_type(resource: Resource, body: Object) -> None:
    for field, expected in (("apiVersion", resource.api_version), ("kind", resource.kind)):
        given = body.get(field) or expected
        if given != expected:
            raise bad_request(f"{field} {given!r} does not match the expected {expected!r}")


def _generated(meta: Object, uid: Callable[[], str]) -> str:
    prefix = meta.get("generateName")
    if not prefix:
        raise bad_request("name or generateName is required")
    return f"{prefix}{uid().replace('-', '')[-5:]}"


def _namespace(meta: Object, requested: str) -> str:
    given = meta.get("namespace") or requested or "default"
    if requested and given != requested:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the "
            f"request: {given!r} and {requested!r}"
        )
    return str(given)


def _normal(resource: Resource, body: Object) -> Object:
    meta = body["metadata"]
    for field in OPTIONAL_FIELDS:
        if not meta.get(field):
            meta.pop(field, None)
    if resource is SECRET:
        _encode_strings(body)
    return body if resource.schema is None else schema.shape(resource.schema, body)


def _encode_strings(secret: Object) -> None:
    strings: dict[str, str] = secret.pop("stringData", None) or {}
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in strings.items()}
    secret.setdefault("type", "Opaque")
    if encoded:
        secret["data"] = {**(secret.get("data") or {}), **encoded}


def _with_status(resource: Resource, old: Object, new: Object) -> Object:
    if not resource.status:
        raise unknown_path(f"{resource.full_name}/status")
    result = {**old, "metadata": dict(old["metadata"])}
    result.pop("status", None)
    if new.get("status") is not None:
        result["status"] = new["status"]
    return result


def _with_content(resource: Resource, old: Object, new: Object) -> Object:
    was, meta = old["metadata"], dict(new.get("metadata") or {})
    for field in SYSTEM_FIELDS:
        meta.pop(field, None)
        if field in was:
            meta[field] = was[field]
    result = {**new, "metadata": meta}
    if resource.status:
        result.pop("status", None)
        if "status" in old:
            result["status"] = old["status"]
    return result


def _content(resource: Resource, body: Object) -> dict[str, Any]:
    apart = {"metadata", "status"} if resource.status else {"metadata"}
    return {key: value for key, value in body.items() if key not in apart}


def _next_generation(body: Object) -> None:
    meta = body["metadata"]
    if "generation" in meta:
        meta["generation"] += 1


def _check_finalizers(resource: Resource, old: Object, new: Object) -> None:
    added = set(finalizers_of(new)) - set(finalizers_of(old))
    if deleting(old) and added:
        text = (
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers {sorted(added)}"
        )
        cause = Cause(field="metadata.finalizers", message=text, reason="FieldValueForbidden")
        raise invalid(resource, old["metadata"]["name"], [cause])


def _bad_name(name: str) -> Cause:
    text = (
        f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case '
        "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
    )
    return Cause(field="metadata.name", message=text)
