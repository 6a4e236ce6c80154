"""Notes as Kubernetes Events: equal ones within ten minutes become one Event with a count.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from garrison.api.meta import EVENT, OWN_KINDS, Key
from garrison.ports.kube import Note, Object

WINDOW = timedelta(minutes=10)
MAX_REMEMBERED = 4096
MAX_NOTE_BYTES = 1024
MAX_NAME_PREFIX = 200
CLUSTER_NAMESPACE = "default"
"""Where Events about cluster-scoped objects live."""

CONTROLLER = "garrison.dev/operator"

Subject: TypeAlias = tuple[Key, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An Event that is to be written: made when ``count`` is 1, else counted on."""

    note: Note
    first_at: datetime
    last_at: datetime
    count: int

    @property
    def namespace(self) -> str:
        return self.note.about.namespace or CLUSTER_NAMESPACE

    @property
    def name(self) -> str:
        """The same for every count of the same note."""
        note = self.note
        parts = (note.uid, note.type, note.reason, note.message, self.first_at.isoformat())
        digest = hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()
        return f"{note.about.name[:MAX_NAME_PREFIX].rstrip('.-')}.{digest}"

    def body(self, instance: str) -> Object:
        """Return the Event to create; ``instance`` is the reporting process."""
        note = self.note
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "eventTime": _micro(self.first_at),
            "type": note.type,
            "reason": note.reason,
            "action": note.reason,
            "note": note.message.encode()[:MAX_NOTE_BYTES].decode(errors="ignore"),
            "regarding": _reference(note),
            "reportingController": CONTROLLER,
            "reportingInstance": instance,
        }

    def series(self) -> Object:
        """Return the merge patch that counts on."""
        return {"series": {"count": self.count, "lastObservedTime": _micro(self.last_at)}}


class Notebook:
    """Remembers which notes were posted lately."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Subject, Entry] = OrderedDict()

    def add(self, note: Note, at: datetime) -> Entry:
        """Return what to write for a note posted at a moment."""
        subject = (note.about, note.uid, note.reason, note.message)
        old = self._entries.pop(subject, None)
        fresh = old is None or at - old.last_at > WINDOW
        entry = Entry(
            note=note,
            first_at=at if old is None or fresh else old.first_at,
            last_at=at,
            count=1 if old is None or fresh else old.count + 1,
        )
        self._entries[subject] = entry
        if len(self._entries) > MAX_REMEMBERED:
            self._entries.popitem(last=False)
        return entry

    def forget(self, note: Note) -> None:
        """Let the next equal note make a new Event: this one was not written."""
        self._entries.pop((note.about, note.uid, note.reason, note.message), None)


def _reference(note: Note) -> Object:
    about = note.about
    own = next((kind for kind in OWN_KINDS if kind.kind == about.kind), None)
    reference = {"kind": about.kind, "name": about.name, "uid": note.uid}
    if about.namespace:
        reference["namespace"] = about.namespace
    if own is not None:
        reference["apiVersion"] = own.api_version
    return reference


def _micro(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
