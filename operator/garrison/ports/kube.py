"""The Kubernetes API as the engine uses it: raw objects in, raw objects out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from garrison.api.meta import Key, Kind

Object: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A Kubernetes Event about an object; ``reason`` is CamelCase, ``message`` says what to do."""

    about: Key
    uid: str
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


class Kube(Protocol):
    """Raises ConflictError (409, stale resourceVersion), AlreadyExistsError, NotFoundError,
    AuthError (401, 403), InvalidSpecError (422), UnavailableError (5xx, timeouts), RateLimitedError.

    Returned objects always carry ``kind`` and ``apiVersion``.
    """

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None: ...

    async def list(
        self, kind: Kind, *, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Sequence[Object]:
        """Return all objects of a kind (all pages)."""

    async def create(self, kind: Kind, body: Object) -> Object: ...

    async def replace_status(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        status: Mapping[str, Any],
        resource_version: str,
    ) -> Object:
        """Replace ``status`` as a whole; ConflictError when resourceVersion is not the newest."""

    async def replace_finalizers(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        finalizers: Sequence[str],
        resource_version: str,
    ) -> Object | None:
        """Replace ``metadata.finalizers``; ConflictError when stale; None when that removed it."""

    async def apply(self, kind: Kind, body: Object) -> Object:
        """Server-side apply with field manager ``garrison`` (forced)."""

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str | None = None
    ) -> None:
        """Ask for deletion; a missing object, or one with another uid, is no error."""

    async def note(self, note: Note) -> None:
        """Post a Kubernetes Event; equal ones within minutes are counted, not repeated."""
