"""CustomResourceDefinitions: the resources they define, and the status the server gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kube_light.errors import Cause
from kube_light.resource import Column, Object, Resource, Scale


def problems(crd: Object) -> list[Cause]:
    """Return why a CRD cannot be served; only what would break this server is looked at."""
    spec = crd.get("spec") or {}
    missing = [name for name in ("group", "names", "scope", "versions") if not spec.get(name)]
    causes = [
        Cause(field=f"spec.{name}", message="Required value", reason="FieldValueRequired")
        for name in missing
    ]
    if causes:
        return causes
    expected = f"{spec['names']['plural']}.{spec['group']}"
    if crd["metadata"]["name"] != expected:
        text = f'Invalid value: "{crd["metadata"]["name"]}": must be "{expected}"'
        causes.append(Cause(field="metadata.name", message=text))
    return causes


def resources_of(crd: Object) -> list[Resource]:
    """Return one resource per served version, newest entry of the CRD first."""
    spec = crd["spec"]
    return [_resource(spec, each) for each in spec["versions"] if each.get("served", True)]


def _resource(spec: Mapping[str, Any], version: Mapping[str, Any]) -> Resource:
    names, subresources = spec["names"], version.get("subresources") or {}
    return Resource(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        namespaced=spec.get("scope") != "Cluster",
        status="status" in subresources,
        generation=True,
        scale=_scale(subresources.get("scale")),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        columns=tuple(_column(each) for each in version.get("additionalPrinterColumns") or ()),
        schema=(version.get("schema") or {}).get("openAPIV3Schema"),
    )


def _scale(raw: Mapping[str, str] | None) -> Scale | None:
    if raw is None:
        return None
    return Scale(
        spec_path=raw["specReplicasPath"],
        status_path=raw["statusReplicasPath"],
        selector_path=raw.get("labelSelectorPath", ""),
    )


def _column(raw: Mapping[str, Any]) -> Column:
    return Column(
        name=raw["name"],
        type=raw["type"],
        path=raw["jsonPath"],
        priority=raw.get("priority", 0),
        description=raw.get("description", ""),
    )


def established(crd: Object, at: str) -> Object:
    """Return the status of a CRD that is served."""
    spec = crd["spec"]
    reasons = (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
    return {
        "acceptedNames": spec["names"],
        "conditions": [
            {
                "type": type_,
                "status": "True",
                "reason": reason,
                "message": "",
                "lastTransitionTime": at,
            }
            for type_, reason in reasons
        ],
        "storedVersions": [each["name"] for each in spec["versions"] if each.get("storage")],
    }
