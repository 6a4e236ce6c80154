"""The Kubernetes API in memory, for the simulation: kube_light's store without a network.

Watches are not here: listen to the store, and deliver late, twice or never as a test likes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from garrison.adapters.event import Entry, Notebook
from garrison.adapters.memory.faults import Call, Faults
from garrison.api.meta import EVENT, Kind
from garrison.errors import (
    AlreadyExistsError,
    AuthError,
    ConflictError,
    GarrisonError,
    InvalidSpecError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from garrison.ports.kube import Note, Object
from kube_light.document import deleting, finalizers_of
from kube_light.errors import ApiError
from kube_light.resource import Resource
from kube_light.selector import equal_labels
from kube_light.store import Store

T = TypeVar("T")

FIELD_MANAGER = "garrison"

logger = logging.getLogger(__name__)


def register(store: Store, kinds: Iterable[Kind]) -> None:
    """Serve kinds with a status and without a schema, for tests that need no CRDs."""
    for kind in kinds:
        store.register(
            Resource(
                group=kind.group,
                version=kind.version,
                kind=kind.kind,
                plural=kind.plural,
                namespaced=kind.namespaced,
                status=True,
                generation=True,
            )
        )


class MemoryKube:
    """Implements ``ports.kube.Kube`` on a store; ``faults`` None: nothing goes wrong."""

    def __init__(self, store: Store, faults: Faults | None = None) -> None:
        self._store = store
        self._faults = faults
        self._notebook = Notebook()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        def answer(moment: datetime | None) -> Object | None:
            return self._store.get_as_of(moment, self._resource(kind), namespace, name)

        return await self._read("get", _subject(kind, namespace, name), answer)

    async def list(
        self, kind: Kind, *, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Sequence[Object]:
        def answer(moment: datetime | None) -> Sequence[Object]:
            return self._store.list_as_of(
                moment,
                self._resource(kind),
                namespace=namespace or "",
                selector=equal_labels(labels),
            )

        return await self._read("list", _subject(kind, namespace or "", ""), answer)

    async def create(self, kind: Kind, body: Object) -> Object:
        namespace, name = _names(kind, body)
        return await self._write(
            "create",
            _subject(kind, namespace, name),
            lambda: self._store.create(self._resource(kind), body, namespace),
        )

    async def replace_status(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        status: Mapping[str, Any],
        resource_version: str,
    ) -> Object:
        body = {"metadata": {"resourceVersion": resource_version}, "status": dict(status)}
        return await self._write(
            "replace_status",
            _subject(kind, namespace, name),
            lambda: self._store.update(self._resource(kind), body, namespace, name, "status"),
        )

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
        left = await self._write(
            "replace_finalizers",
            _subject(kind, namespace, name),
            lambda: self._store.merge(self._resource(kind), {"metadata": meta}, namespace, name),
        )
        return None if deleting(left) and not finalizers_of(left) else left

    async def apply(self, kind: Kind, body: Object) -> Object:
        namespace, name = _names(kind, body)
        return await self._write(
            "apply",
            _subject(kind, namespace, name),
            lambda: self._store.apply(
                self._resource(kind), body, namespace, name, field_manager=FIELD_MANAGER
            ),
        )

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str | None = None
    ) -> None:
        def effect() -> None:
            found = self._store.find(self._resource(kind), namespace, name)
            if found is not None and uid in {None, found["metadata"]["uid"]}:
                self._store.delete(self._resource(kind), namespace, name)

        await self._write("delete", _subject(kind, namespace, name), effect)

    async def note(self, note: Note) -> None:
        entry = self._notebook.add(note, self._store.now())
        try:
            await self._write("note", str(note.about), lambda: self._post(entry))
        except GarrisonError as error:
            self._notebook.forget(note)
            logger.warning("the Event %s about %s was lost: %s", note.reason, note.about, error)

    def _post(self, entry: Entry) -> Object:
        events = self._resource(EVENT)
        if self._store.find(events, entry.namespace, entry.name) is None:
            self._store.create(events, entry.body("memory"), entry.namespace)
        return self._store.merge(
            events, entry.series() if entry.count > 1 else {}, entry.namespace, entry.name
        )

    def _resource(self, kind: Kind) -> Resource:
        return self._store.resource(kind.group, kind.version, kind.plural)

    async def _read(
        self, operation: str, subject: str, answer: Callable[[datetime | None], T]
    ) -> T:
        if self._faults is None:
            return _translated(lambda: answer(None))
        call = Call(port="kube", operation=operation, write=False, subject=subject)
        return await self._faults.read(call, lambda moment: _translated(lambda: answer(moment)))

    async def _write(self, operation: str, subject: str, effect: Callable[[], T]) -> T:
        if self._faults is None:
            return _translated(effect)
        call = Call(port="kube", operation=operation, write=True, subject=subject)
        last = _Effect(effect)
        try:
            return await self._faults.write(call, last.run, UnavailableError)
        finally:
            last.waited_for = False


class _Effect:
    """A write that may come after its caller gave up: then nobody hears of its failure."""

    def __init__(self, effect: Callable[[], Any]) -> None:
        self._effect = effect
        self.waited_for = True

    def run(self, _moment: datetime) -> Any:
        try:
            return _translated(self._effect)
        except GarrisonError:
            if self.waited_for:
                raise
            return None


def _translated(act: Callable[[], T]) -> T:
    try:
        return act()
    except ApiError as error:
        raise _translate(error) from error


def _translate(error: ApiError) -> GarrisonError:
    reasons = {each.reason for each in error.causes}
    match error.code, error.reason:
        case 404, _:
            return NotFoundError(error.message)
        case 409, "AlreadyExists":
            return AlreadyExistsError(error.message)
        case 409, _:
            return ConflictError(error.message)
        case 403, _ if "NamespaceTerminating" in reasons:
            return RejectedError(error.message, reason="NamespaceTerminating")
        case ((401 | 403), _):
            return AuthError(error.message)
        case 422, _:
            return InvalidSpecError(error.message)
        case _:
            return RejectedError(error.message)


def _names(kind: Kind, body: Object) -> tuple[str, str]:
    meta = body["metadata"]
    return meta.get("namespace", "default") if kind.namespaced else "", meta["name"]


def _subject(kind: Kind, namespace: str, name: str) -> str:
    return "/".join(part for part in (kind.kind, namespace, name) if part)
