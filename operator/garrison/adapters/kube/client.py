"""``ports.kube.Kube`` against a Kubernetes API server."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from garrison.adapters.event import Entry, Notebook
from garrison.adapters.kube.connection import Connection, Credentials, open_connection
from garrison.api.meta import EVENT, Kind
from garrison.errors import (
    AlreadyExistsError,
    ConflictError,
    GarrisonError,
    NotFoundError,
    UnavailableError,
)
from garrison.ports.kube import Note, Object

FIELD_MANAGER = "garrison"
PAGE = 500
LIST_ATTEMPTS = 3
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

logger = logging.getLogger(__name__)


async def connect(kubeconfig: str | None = None, context: str | None = None) -> KubeClient:
    """Return a client; without a kubeconfig in a pod, as the pod's service account.

    Raises RejectedError when there is no usable configuration. Does not call the server.
    """
    return KubeClient(await open_connection(kubeconfig, context))


class KubeClient:
    """Safe for concurrent use; ``close`` it at the end."""

    def __init__(self, connection: Connection, *, page: int = PAGE) -> None:
        self._connection = connection
        self._page = page
        self._notebook = Notebook()
        self._instance = socket.gethostname()

    async def credentials(self) -> Credentials:
        """Return what this client logs in with."""
        return await self._connection.credentials()

    async def close(self) -> None:
        await self._connection.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        answer = await self._connection.call("GET", _path(kind, namespace, name))
        return None if answer.missing else _typed(kind, answer.json())

    async def list(
        self, kind: Kind, *, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Sequence[Object]:
        path = _path(kind, namespace or "")
        query = {"limit": str(self._page)}
        if labels:
            query["labelSelector"] = ",".join(f"{key}={value}" for key, value in labels.items())
        for _ in range(LIST_ATTEMPTS):
            items = await _all_pages(self._connection, path, query)
            if items is not None:
                return [_typed(kind, item) for item in items]
        raise UnavailableError(f"GET {path}: the list expired before its last page; try again")

    async def create(self, kind: Kind, body: Object) -> Object:
        return await self._call(kind, "POST", _path(kind, _namespace(kind, body)), body=body)

    async def replace_status(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        status: Mapping[str, Any],
        resource_version: str,
    ) -> Object:
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
            {"op": "add", "path": "/status", "value": dict(status)},
        ]
        path = f"{_path(kind, namespace, name)}/status"
        return await self._call(kind, "PATCH", path, body=patch, content_type=JSON_PATCH)

    async def replace_finalizers(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        finalizers: Sequence[str],
        resource_version: str,
    ) -> Object | None:
        meta = {"resourceVersion": resource_version, "finalizers": list(finalizers)}
        path = _path(kind, namespace, name)
        left = await self._call(
            kind, "PATCH", path, body={"metadata": meta}, content_type=MERGE_PATCH
        )
        gone = left["metadata"].get("deletionTimestamp") and not left["metadata"].get("finalizers")
        return None if gone else left

    async def apply(self, kind: Kind, body: Object) -> Object:
        path = _path(kind, _namespace(kind, body), body["metadata"]["name"])
        return await self._call(
            kind,
            "PATCH",
            path,
            query={"force": "true"},
            body={"apiVersion": kind.api_version, "kind": kind.kind, **body},
            content_type=APPLY_PATCH,
        )

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str | None = None
    ) -> None:
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        options["propagationPolicy"] = "Background"
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        answer = await self._connection.call("DELETE", _path(kind, namespace, name), body=options)
        try:
            if not answer.missing:
                answer.json()
        except ConflictError:
            found = await self.get(kind, namespace, name)
            if found is not None and found["metadata"]["uid"] == uid:
                raise

    async def note(self, note: Note) -> None:
        entry = self._notebook.add(note, datetime.now(UTC))
        try:
            await self._post(entry)
        except GarrisonError as error:
            self._notebook.forget(note)
            logger.warning("the Event %s about %s was lost: %s", note.reason, note.about, error)

    async def _post(self, entry: Entry) -> None:
        path = _path(EVENT, entry.namespace, entry.name)
        if entry.count > 1:
            try:
                await self._call(
                    EVENT, "PATCH", path, body=entry.series(), content_type=MERGE_PATCH
                )
            except NotFoundError:
                logger.debug("the Event %s is gone; it is posted anew", entry.name)
            else:
                return
        try:
            await self.create(EVENT, entry.body(self._instance))
        except AlreadyExistsError:
            logger.debug("the Event %s was posted by an earlier try", entry.name)

    async def _call(
        self,
        kind: Kind,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Object:
        answer = await self._connection.call(
            method,
            path,
            query={**(query or {}), "fieldManager": FIELD_MANAGER},
            body=body,
            content_type=content_type,
        )
        return _typed(kind, answer.json())


async def _all_pages(
    connection: Connection, path: str, query: Mapping[str, str]
) -> list[Object] | None:
    """Return the items of all pages, None when the list expired on the way."""
    items: list[Object] = []
    token = ""
    while True:
        page = {**query, "continue": token} if token else dict(query)
        answer = await connection.call("GET", path, query=page)
        if answer.code == 410:
            return None
        body = answer.json()
        items += body.get("items") or ()
        token = (body.get("metadata") or {}).get("continue") or ""
        if not token:
            return items


def _path(kind: Kind, namespace: str, name: str = "") -> str:
    root = f"/apis/{kind.group}" if kind.group else "/api"
    within = f"/namespaces/{quote(namespace)}" if kind.namespaced and namespace else ""
    last = f"/{quote(name, safe='')}" if name else ""
    return f"{root}/{kind.version}{within}/{kind.plural}{last}"


def _namespace(kind: Kind, body: Object) -> str:
    return body["metadata"].get("namespace", "default") if kind.namespaced else ""


def _typed(kind: Kind, body: Object) -> Object:
    """Return the object with its type: items of lists come without."""
    return {"apiVersion": kind.api_version, "kind": kind.kind, **body}
