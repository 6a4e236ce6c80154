"""The engine's own copy of the objects it watches: newest version wins, indexed by label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from garrison.api.meta import Key, Raw, key_of

Listener: TypeAlias = Callable[[Raw | None, Raw | None], None]
"""Called with (old, new) after every change; new is None when the object is gone."""

Label: TypeAlias = tuple[str, str]
REMEMBERED_DELETIONS = 10_000


class Cache:
    """Objects by key. Watches may deliver late, twice or out of order; reads may be older still."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[Key, Raw]] = {}
        self._labels: dict[tuple[str, str, Label], set[Key]] = {}
        self._deleted: dict[str, None] = {}
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` after every change."""
        self._listeners.append(listener)

    def get(self, key: Key) -> Raw | None:
        """Return the newest known version, None when there is none."""
        return self._objects.get(key.kind, {}).get(key)

    def list(
        self, kind: str, *, namespace: str | None = None, label: Label | None = None
    ) -> Sequence[Raw]:
        """Return the objects of a kind, ordered by key."""
        known = self._objects.get(kind, {})
        if label is not None and namespace is not None:
            keys = sorted(self._labels.get((kind, namespace, label), ()))
            return [known[key] for key in keys]
        return [
            known[key]
            for key in sorted(known)
            if (namespace is None or key.namespace == namespace)
            and (
                label is None
                or (known[key]["metadata"].get("labels") or {}).get(label[0]) == label[1]
            )
        ]

    def keys(self, kind: str) -> Sequence[Key]:
        """Return the keys of a kind, ordered."""
        return sorted(self._objects.get(kind, {}))

    def put(self, raw: Raw) -> bool:
        """Keep ``raw`` if it is newer than what is known; return whether it was."""
        key = key_of(raw)
        old = self.get(key)
        if raw["metadata"]["uid"] in self._deleted or (old is not None and not _newer(raw, old)):
            return False
        if old is not None:
            self._unlabel(key, old)
        self._objects.setdefault(key.kind, {})[key] = raw
        self._label(key, raw)
        self._tell(old, raw)
        return True

    def remove(self, key: Key, uid: str | None = None) -> None:
        """Forget an object; with ``uid`` only that incarnation, which never comes back."""
        old = self.get(key)
        if uid is not None:
            self._remember(uid)
        if old is None or (uid is not None and old["metadata"]["uid"] != uid):
            return
        self._remember(old["metadata"]["uid"])
        self._unlabel(key, old)
        del self._objects[key.kind][key]
        self._tell(old, None)

    def _remember(self, uid: str) -> None:
        self._deleted[uid] = None
        if len(self._deleted) > REMEMBERED_DELETIONS:
            del self._deleted[next(iter(self._deleted))]

    def _label(self, key: Key, raw: Raw) -> None:
        for label in (raw["metadata"].get("labels") or {}).items():
            self._labels.setdefault((key.kind, key.namespace, label), set()).add(key)

    def _unlabel(self, key: Key, raw: Raw) -> None:
        for label in (raw["metadata"].get("labels") or {}).items():
            index = (key.kind, key.namespace, label)
            self._labels[index].discard(key)
            if not self._labels[index]:
                del self._labels[index]

    def _tell(self, old: Raw | None, new: Raw | None) -> None:
        for listener in self._listeners:
            listener(old, new)


def _newer(raw: Raw, known: Raw) -> bool:
    """resourceVersions are compared as integers: etcd's revisions, ordered since Kubernetes 1.35.

    Source: KEP-5504, comparable resource version.
    """
    return int(raw["metadata"]["resourceVersion"]) > int(known["metadata"]["resourceVersion"])
