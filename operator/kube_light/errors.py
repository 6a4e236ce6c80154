"""Refusals as the Kubernetes API words them (``metav1.Status``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kube_light.resource import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a request is refused; ``field`` is a path such as ``spec.replicas``."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class ApiError(Exception):
    """A refusal with its HTTP code and its CamelCase reason."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        causes: Sequence[Cause] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}
        self.causes = tuple(causes)

    def status(self) -> dict[str, Any]:
        """Return the ``Status`` object that goes over the wire."""
        details = dict(self.details)
        if self.causes:
            details["causes"] = [
                {"reason": each.reason, "message": each.message, "field": each.field}
                for each in self.causes
            ]
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": details,
            "code": self.code,
        }


def not_found(resource: Resource, name: str) -> ApiError:
    return _about(404, "NotFound", resource, name, "not found")


def already_exists(resource: Resource, name: str) -> ApiError:
    return _about(409, "AlreadyExists", resource, name, "already exists")


def unknown_path(path: str) -> ApiError:
    return ApiError(404, "NotFound", f"the server could not find the requested resource: {path}")


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def expired(revision: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {revision}; list again")


def conflict(resource: Resource, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {resource.full_name} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(resource, name))


def stale(resource: Resource, name: str) -> ApiError:
    return conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> ApiError:
    reasons = ", ".join(f"{each.field}: {each.message}" for each in causes)
    text = f"[{reasons}]" if len(causes) > 1 else reasons
    title = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    return ApiError(
        422,
        "Invalid",
        f'{title} "{name}" is invalid: {text}',
        details=_details(resource, name),
        causes=causes,
    )


def terminating(resource: Resource, name: str, namespace: str) -> ApiError:
    why = f"namespace {namespace} is being terminated"
    message = (
        f'{resource.full_name} "{name}" is forbidden: unable to create new content '
        f"in namespace {namespace} because it is being terminated"
    )
    cause = Cause(field="metadata.namespace", message=why, reason="NamespaceTerminating")
    return ApiError(403, "Forbidden", message, details=_details(resource, name), causes=(cause,))


def _about(code: int, reason: str, resource: Resource, name: str, what: str) -> ApiError:
    message = f'{resource.full_name} "{name}" {what}'
    return ApiError(code, reason, message, details=_details(resource, name))


def _details(resource: Resource, name: str) -> dict[str, Any]:
    return {"name": name, "group": resource.group, "kind": resource.plural}
