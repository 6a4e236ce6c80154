"""A kind for the contract: small, namespaced, with a schema, a status and a scale."""

from __future__ import annotations

from typing import Any

from garrison.api.meta import Kind
from garrison.ports.kube import Object

GROUP = "contract.garrison.dev"
CRD = Kind(
    group="apiextensions.k8s.io",
    version="v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    namespaced=False,
)
NAMESPACE = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)
BERTH = Kind(group=GROUP, version="v1", kind="Berth", plural="berths")
HARBOUR = Kind(group=GROUP, version="v1", kind="Harbour", plural="harbours", namespaced=False)
UNSERVED = Kind(group=GROUP, version="v1", kind="Quay", plural="quays")

SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 0, "maximum": 99},
        "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "ropes": {"type": "array", "maxItems": 3, "items": {"type": "string", "maxLength": 5}},
    },
}

STATUS = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def definition(kind: Kind) -> Object:
    """Return the CRD of one of the kinds above."""
    schema = {
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": SPEC, "status": STATUS},
    }
    version = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    names = {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()}
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": names,
            "versions": [version],
        },
    }


def berth(name: str, namespace: str, *, kind: Kind = BERTH, size: Any = 1, **meta: Any) -> Object:
    """Return a berth (or a harbour) to create; ``meta`` goes to its metadata."""
    where = {"namespace": namespace} if kind.namespaced else {}
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name, **where, **meta},
        "spec": {"size": size},
    }


def owner(body: Object) -> Object:
    """Return the owner reference to an object."""
    meta = body["metadata"]
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
    }
