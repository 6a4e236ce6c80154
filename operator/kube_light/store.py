"""The objects and the rules of writing them, without a network.

Everything happens at once and in order: the same calls with the same clock and uids give the same
objects, resourceVersions and changes. Nothing here waits, reads the time, or starts a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import uuid4

from kube_light import admission, lifecycle, patch
from kube_light.document import clone, deleting, finalizers_of
from kube_light.errors import already_exists, expired, not_found, unknown_path
from kube_light.event import inward, outward, shown
from kube_light.history import Change, ChangeType, History
from kube_light.resource import BUILT_IN, NAMESPACE, Object, Resource, Storage
from kube_light.selector import EVERYTHING, Selector

Key: TypeAlias = tuple[str, str]
"""Namespace ("" for cluster-scoped) and name."""

Listener: TypeAlias = Callable[[Change], None]
Edit: TypeAlias = Callable[[Object], Any]
"""From an object as it is, only to be read, to what is wanted in its place; may share parts."""

FIRST_NAMESPACES = ("default", "kube-system")


def utc_now() -> datetime:
    return datetime.now(UTC)


def random_uid() -> str:
    return str(uuid4())


class Store:
    """All objects of a cluster. Methods raise ApiError as the real server answers.

    What goes in is copied, what comes out is a copy; only Changes share their objects.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = utc_now,
        uid: Callable[[], str] = random_uid,
        keep: int = 10_000,
    ) -> None:
        self._now = now
        self._uid = uid
        self._resources: dict[tuple[str, str, str], Resource] = {}
        self._objects: dict[Storage, dict[Key, Object]] = {}
        self._applied: dict[tuple[str, str], Object] = {}
        self._history = History(keep)
        self._listeners: list[Listener] = []
        self._lifecycle = lifecycle.Lifecycle(self)
        self._revision = 0
        for resource in BUILT_IN:
            self.register(resource)
        for name in FIRST_NAMESPACES:
            self.create(NAMESPACE, {"metadata": {"name": name}})

    @property
    def revision(self) -> int:
        """The newest resourceVersion."""
        return self._revision

    def now(self) -> datetime:
        return self._now()

    def timestamp(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def register(self, resource: Resource) -> None:
        """Serve a resource, in place of one of the same group, version and plural."""
        self._resources[resource.group, resource.version, resource.plural] = resource
        self._objects.setdefault(resource.storage, {})

    def unregister(self, storage: Storage) -> None:
        """Serve a resource no longer, in any version."""
        for key in [key for key, each in self._resources.items() if each.storage == storage]:
            del self._resources[key]

    def resources(self) -> Sequence[Resource]:
        return tuple(self._resources.values())

    def resource(self, group: str, version: str, plural: str) -> Resource:
        """Return what is served under a path; ApiError 404 when nothing is."""
        found = self._resources.get((group, version, plural))
        if found is None:
            raise unknown_path("/".join(part for part in (group, version, plural) if part))
        return found

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        return outward(resource, self._current(resource, namespace, name))

    def list(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        selector: Selector = EVERYTHING,
        revision: int | None = None,
    ) -> Sequence[Object]:
        """Return objects by namespace and name, "" for all, as of a resourceVersion if given.

        ApiError 410 when the history no longer reaches the resourceVersion.
        """
        objects: Mapping[Key, Object] = self._objects[resource.storage]
        if revision is not None and revision < self._revision:
            newer = self._history.since(revision, resource.storage)
            objects = _undone(objects, newer[::-1])
        return self._picked(resource, objects, namespace, selector)

    def get_as_of(
        self, moment: datetime | None, resource: Resource, namespace: str, name: str
    ) -> Object | None:
        """Return an object as it was at a moment that the history still reaches, or None."""
        found = self._as_of(moment, resource).get((namespace, name))
        return None if found is None else outward(resource, found)

    def list_as_of(
        self,
        moment: datetime | None,
        resource: Resource,
        *,
        namespace: str = "",
        selector: Selector = EVERYTHING,
    ) -> Sequence[Object]:
        """Return what ``list`` returned at a moment that the history still reaches."""
        return self._picked(resource, self._as_of(moment, resource), namespace, selector)

    def everything(self) -> Sequence[tuple[Resource, Object]]:
        """Return every object with a resource that serves it; shared, not copied."""
        by_storage = {each.storage: each for each in self._resources.values()}
        return [
            (by_storage[storage], body)
            for storage, objects in self._objects.items()
            if storage in by_storage
            for body in objects.values()
        ]

    def create(self, resource: Resource, body: Object, namespace: str = "") -> Object:
        """Return the new object; its name may be generated."""
        new = admission.admit_new(resource, body, namespace, self._uid)
        meta = new["metadata"]
        if resource.namespaced:
            admission.check_namespace(resource, meta, self._namespace(meta["namespace"]))
        if _key(new) in self._objects[resource.storage]:
            raise already_exists(resource, meta["name"])
        meta |= {"uid": self._uid(), "creationTimestamp": self.timestamp()}
        if resource.generation:
            meta["generation"] = 1
        admission.validate(resource, new)
        return self._commit(resource, "ADDED", new, None)

    def update(
        self, resource: Resource, body: Object, namespace: str, name: str, subresource: str = ""
    ) -> Object:
        """Replace an object, or its status, as PUT does."""
        return self._edit(resource, namespace, name, lambda _: body, subresource)

    def merge(
        self, resource: Resource, body: Object, namespace: str, name: str, subresource: str = ""
    ) -> Object:
        """Change an object under a JSON merge patch."""
        return self._edit(
            resource, namespace, name, lambda old: patch.merge(old, body), subresource
        )

    def json_patch(
        self,
        resource: Resource,
        operations: Sequence[Object],
        namespace: str,
        name: str,
        subresource: str = "",
    ) -> Object:
        """Change an object under a JSON Patch."""
        return self._edit(
            resource, namespace, name, lambda old: patch.json_patch(old, operations), subresource
        )

    def apply(
        self,
        resource: Resource,
        body: Object,
        namespace: str,
        name: str,
        *,
        field_manager: str,
        subresource: str = "",
    ) -> Object:
        """Return the object after a forced server-side apply; it is created when missing."""
        new = clone(body)
        new.setdefault("metadata", {})["name"] = name
        old = self._objects[resource.storage].get((namespace, name))
        if old is None and not subresource:
            result = self.create(resource, new, namespace)
        else:
            before = self._applied.get((self._uid_of(resource, namespace, name), field_manager), {})
            result = self._edit(
                resource, namespace, name, lambda was: patch.apply(was, before, new), subresource
            )
        self._applied[result["metadata"]["uid"], field_manager] = new
        return result

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        orphan: bool = False,
    ) -> Object:
        """Return the object as it was last; dependants follow at once unless ``orphan``."""
        old = self._current(resource, namespace, name)
        admission.check_preconditions(resource, old["metadata"], uid, resource_version)
        if orphan:
            self._lifecycle.orphan(old["metadata"]["uid"])
        new = {**old, "metadata": dict(old["metadata"])}
        if not finalizers_of(old) and not self._lifecycle.holds(resource, old):
            return self._commit(resource, "DELETED", new, old)
        if deleting(old):
            return clone(old)  # type: ignore[no-any-return]
        meta = new["metadata"]
        meta |= {"deletionTimestamp": self.timestamp(), "deletionGracePeriodSeconds": 0}
        if "generation" in meta:
            meta["generation"] += 1
        return self._commit(resource, "MODIFIED", new, old)

    def delete_all(
        self, resource: Resource, *, namespace: str = "", selector: Selector = EVERYTHING
    ) -> Sequence[Object]:
        """Delete what ``list`` returns."""
        picked = self.list(resource, namespace=namespace, selector=selector)
        return [self.delete(resource, *_key(body)) for body in picked]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each change, in order; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def changes_since(self, revision: int, resource: Resource) -> Sequence[Change]:
        """Return the changes after a resourceVersion; ApiError 410 when it is too old."""
        if revision > self._revision:
            raise expired(revision)
        return self._history.since(revision, resource.storage)

    def compact(self) -> None:
        """Forget the history: watches from an older resourceVersion get 410."""
        self._history.compact()

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return an object as it is stored, shared, or None; for the server's own needs."""
        return self._objects[resource.storage].get((namespace, name))

    def remove(self, resource: Resource, old: Object) -> None:
        """Ask for an object's deletion, as the garbage collector does."""
        self.delete(resource, *_key(old))

    def rewrite(self, resource: Resource, old: Object, new: Object) -> None:
        """Write what the server itself decided: no checks, status and metadata alike."""
        self._commit(resource, "MODIFIED", new, old)

    def forget(self, resource: Resource, old: Object) -> None:
        """Remove an object whatever holds it."""
        self._commit(resource, "DELETED", {**old, "metadata": dict(old["metadata"])}, old)

    def _edit(
        self, resource: Resource, namespace: str, name: str, edit: Edit, subresource: str
    ) -> Object:
        old = self._current(resource, namespace, name)
        new = inward(resource, edit(shown(resource, old)))
        meta = new.get("metadata") or {}
        admission.check_preconditions(
            resource, old["metadata"], meta.get("uid"), meta.get("resourceVersion")
        )
        new = admission.admit_update(resource, old, new, subresource)
        if new == old:
            return outward(resource, old)
        leaves = (
            deleting(new) and not finalizers_of(new) and not self._lifecycle.holds(resource, new)
        )
        return self._commit(resource, "DELETED" if leaves else "MODIFIED", new, old)

    def _commit(
        self, resource: Resource, type_: ChangeType, new: Object, old: Object | None
    ) -> Object:
        self._revision += 1
        new["metadata"]["resourceVersion"] = str(self._revision)
        objects = self._objects[resource.storage]
        if type_ == "DELETED":
            del objects[_key(new)]
            self._forget_applied(new["metadata"]["uid"])
        else:
            objects[_key(new)] = new
        change = Change(
            type=type_,
            storage=resource.storage,
            object=new,
            before=old,
            revision=self._revision,
            at=self._now(),
        )
        self._history.add(change)
        for listener in tuple(self._listeners):
            listener(change)
        self._lifecycle.after(resource, change)
        return outward(resource, new)

    def _forget_applied(self, uid: str) -> None:
        for key in [key for key in self._applied if key[0] == uid]:
            del self._applied[key]

    def _current(self, resource: Resource, namespace: str, name: str) -> Object:
        found = self._objects[resource.storage].get((namespace, name))
        if found is None:
            raise not_found(resource, name)
        return found

    def _uid_of(self, resource: Resource, namespace: str, name: str) -> str:
        return str(self._current(resource, namespace, name)["metadata"]["uid"])

    def _namespace(self, name: str) -> Object | None:
        return self._objects[NAMESPACE.storage].get(("", name))

    def _as_of(self, moment: datetime | None, resource: Resource) -> Mapping[Key, Object]:
        current = self._objects[resource.storage]
        if moment is None:
            return current
        return _undone(current, self._history.after(moment, resource.storage))

    def _picked(
        self,
        resource: Resource,
        objects: Mapping[Key, Object],
        namespace: str,
        selector: Selector,
    ) -> Sequence[Object]:
        shown = (
            outward(resource, body)
            for key, body in sorted(objects.items(), key=lambda item: item[0])
            if namespace in {"", key[0]}
        )
        return [body for body in shown if selector.picks(body)]


def _key(body: Object) -> Key:
    meta = body["metadata"]
    return meta.get("namespace") or "", meta["name"]


def _undone(objects: Mapping[Key, Object], changes: Sequence[Change]) -> Mapping[Key, Object]:
    """Return objects as they were before changes, given newest first."""
    result = dict(objects)
    for change in changes:
        if change.before is None:
            result.pop(_key(change.object), None)
        else:
            result[_key(change.object)] = change.before
    return result
