"""What the control plane does by itself after a write: CRDs, namespaces, and dependants.

Dependants of an owner that is gone are deleted at once, in the order they were made, and so are
objects whose owners never existed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from kube_light import definition
from kube_light.document import deleting, owners_of
from kube_light.history import Change
from kube_light.resource import CRD, NAMESPACE, Object, Resource, Storage

Place: TypeAlias = tuple[Resource, str, str]
"""A resource, a namespace and a name."""


class Objects(Protocol):
    """The store as the lifecycle needs it."""

    def everything(self) -> Sequence[tuple[Resource, Object]]: ...
    def find(self, resource: Resource, namespace: str, name: str) -> Object | None: ...
    def remove(self, resource: Resource, old: Object) -> None: ...
    def rewrite(self, resource: Resource, old: Object, new: Object) -> None: ...
    def forget(self, resource: Resource, old: Object) -> None: ...
    def register(self, resource: Resource) -> None: ...
    def unregister(self, storage: Storage) -> None: ...
    def timestamp(self) -> str: ...


class Lifecycle:
    """Follows every change of a store; reactions to reactions are queued, not nested."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._pending: deque[tuple[Resource, Change]] = deque()
        self._busy = False
        self._live: set[str] = set()
        self._dependants: dict[str, dict[tuple[Storage, str, str], Place]] = {}

    def after(self, resource: Resource, change: Change) -> None:
        """React to a change, unless a reaction is under way: then after that."""
        self._index(resource, change)
        self._pending.append((resource, change))
        if self._busy:
            return
        self._busy = True
        try:
            while self._pending:
                self._react(*self._pending.popleft())
        finally:
            self._busy = False

    def holds(self, resource: Resource, body: Object) -> bool:
        """Return whether an object stays for now because of what it contains."""
        if resource is NAMESPACE:
            return not deleting(body) or bool(self._content_of(body))
        return resource is CRD and bool(self._instances_of(body))

    def orphan(self, uid: str) -> None:
        """Take an owner off all its dependants."""
        self._each_dependant(uid, self._disown)

    def _index(self, resource: Resource, change: Change) -> None:
        place = _place(resource, change.object)
        identity = (resource.storage, *place[1:])
        for owner in owners_of(change.before) if change.before else ():
            self._dependants.get(owner, {}).pop(identity, None)
        if change.type == "DELETED":
            self._live.discard(change.object["metadata"]["uid"])
            return
        self._live.add(change.object["metadata"]["uid"])
        for owner in owners_of(change.object):
            self._dependants.setdefault(owner, {})[identity] = place

    def _react(self, resource: Resource, change: Change) -> None:
        body = change.object
        if change.type == "DELETED":
            self._each_dependant(body["metadata"]["uid"], self._bereave)
            self._dependants.pop(body["metadata"]["uid"], None)
            self._release(resource, body)
        elif owners_of(body) and self._live.isdisjoint(owners_of(body)):
            self._remove(_place(resource, body))
        if resource is CRD:
            self._react_to_definition(change)
        elif resource is NAMESPACE and change.type == "MODIFIED" and deleting(body):
            self._empty_namespace(body)

    def _each_dependant(self, uid: str, act: Callable[[Place, Object, str], None]) -> None:
        for place in tuple(self._dependants.get(uid, {}).values()):
            body = self._objects.find(*place)
            if body is not None:
                act(place, body, uid)

    def _bereave(self, place: Place, body: Object, uid: str) -> None:
        if self._live.isdisjoint(owners_of(body)):
            self._remove(place)
        else:
            self._disown(place, body, uid)

    def _disown(self, place: Place, body: Object, uid: str) -> None:
        references = [each for each in body["metadata"]["ownerReferences"] if each["uid"] != uid]
        meta = {**body["metadata"], "ownerReferences": references}
        if not references:
            del meta["ownerReferences"]
        self._objects.rewrite(place[0], body, {**body, "metadata": meta})

    def _remove(self, place: Place) -> None:
        body = self._objects.find(*place)
        if body is not None and not deleting(body):
            self._objects.remove(place[0], body)

    def _release(self, resource: Resource, body: Object) -> None:
        namespace = self._objects.find(NAMESPACE, "", body["metadata"].get("namespace", ""))
        if namespace is not None and deleting(namespace):
            self._empty_namespace(namespace)
        crd = self._objects.find(CRD, "", resource.full_name)
        if crd is not None and deleting(crd):
            self._empty_definition(crd)

    def _empty_namespace(self, body: Object) -> None:
        current = self._objects.find(NAMESPACE, "", body["metadata"]["name"])
        if current is None:
            return
        if current["status"]["phase"] != "Terminating":
            before, current = current, {**current, "metadata": dict(current["metadata"])}
            current["status"] = {"phase": "Terminating"}
            self._objects.rewrite(NAMESPACE, before, current)
        self._empty(NAMESPACE, current, self._content_of(current))

    def _react_to_definition(self, change: Change) -> None:
        storage = (change.object["spec"]["group"], change.object["spec"]["names"]["plural"])
        if change.type == "DELETED":
            self._objects.unregister(storage)
            return
        if change.before is None or change.before["spec"] != change.object["spec"]:
            self._objects.unregister(storage)
            for resource in definition.resources_of(change.object):
                self._objects.register(resource)
            self._establish(change.object)
        if deleting(change.object):
            self._empty_definition(change.object)

    def _establish(self, crd: Object) -> None:
        status = definition.established(crd, self._objects.timestamp())
        new = {**crd, "metadata": dict(crd["metadata"]), "status": status}
        self._objects.rewrite(CRD, crd, new)

    def _empty_definition(self, body: Object) -> None:
        current = self._objects.find(CRD, "", body["metadata"]["name"])
        if current is not None:
            self._empty(CRD, current, self._instances_of(current))

    def _empty(self, resource: Resource, holder: Object, content: Sequence[Place]) -> None:
        for place in content:
            self._remove(place)
        left = any(self._objects.find(*place) for place in content)
        gone = self._objects.find(*_place(resource, holder)) is None
        if not left and not gone and not holder["metadata"].get("finalizers"):
            self._objects.forget(resource, holder)

    def _content_of(self, namespace: Object) -> list[Place]:
        name = namespace["metadata"]["name"]
        return [
            _place(resource, body)
            for resource, body in self._objects.everything()
            if body["metadata"].get("namespace") == name
        ]

    def _instances_of(self, crd: Object) -> list[Place]:
        storage = (crd["spec"]["group"], crd["spec"]["names"]["plural"])
        return [
            _place(resource, body)
            for resource, body in self._objects.everything()
            if resource.storage == storage
        ]


def _place(resource: Resource, body: Object) -> Place:
    meta = body["metadata"]
    return resource, meta.get("namespace") or "", meta["name"]
