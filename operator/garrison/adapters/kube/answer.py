"""What the API server's answers mean: JSON, or an error of Garrison's tree.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from garrison.errors import (
    AlreadyExistsError,
    AuthError,
    ConflictError,
    GarrisonError,
    InvalidSpecError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from garrison.ports.kube import Object

MAX_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; ``request`` is the method and the path, for messages."""

    request: str
    code: int
    headers: Mapping[str, str]
    data: bytes

    def json(self) -> Object:
        """Return the object of a successful answer; raise what any other one means."""
        if self.code >= 400:
            raise self.error()
        try:
            body = json.loads(self.data)
        except ValueError as error:
            raise UnavailableError(f"{self.request}: the answer is no JSON: {error}") from error
        if not isinstance(body, dict):
            raise UnavailableError(f"{self.request}: the answer is no JSON object")
        return body

    @property
    def missing(self) -> bool:
        """Whether the object is not there, while its kind is served."""
        return self.code == 404 and "name" in (self._status().get("details") or {})

    def error(self) -> GarrisonError:
        """Return the error that a refusal means."""
        status = self._status()
        message = f"{self.request}: {status.get('message') or self._start()} (HTTP {self.code})"
        match self.code, status.get("reason"):
            case 404, _:
                return NotFoundError(message)
            case 409, "AlreadyExists":
                return AlreadyExistsError(message)
            case 409, _:
                return ConflictError(message)
            case 403, _ if "NamespaceTerminating" in _causes(status):
                return RejectedError(message, reason="NamespaceTerminating")
            case ((401 | 403), _):
                return AuthError(message)
            case 422, _:
                return InvalidSpecError(message)
            case 429, _:
                return RateLimitedError(message, retry_after=self._retry_after())
            case code, _ if code >= 500:
                return UnavailableError(message, retry_after=self._retry_after())
            case _:
                return RejectedError(message)

    def _status(self) -> Mapping[str, Any]:
        try:
            body = json.loads(self.data)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    def _start(self) -> str:
        return self.data[:MAX_SHOWN].decode(errors="replace").strip() or "no reason given"

    def _retry_after(self) -> float | None:
        text = self.headers.get("Retry-After", "")
        return float(text) if text.isdigit() else None


def _causes(status: Mapping[str, Any]) -> set[str]:
    causes = (status.get("details") or {}).get("causes") or ()
    return {cause.get("reason", "") for cause in causes}
