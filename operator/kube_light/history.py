"""What changed and when, for watches and for looking back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Literal, TypeAlias

from kube_light.errors import expired
from kube_light.resource import Object, Storage

ChangeType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write as watches report it; ``before`` is the object as it was, None when added.

    Objects are shared with the store: copy before changing.
    """

    type: ChangeType
    storage: Storage
    object: Object
    before: Object | None
    revision: int
    at: datetime


class History:
    """The latest ``keep`` changes, oldest first."""

    def __init__(self, keep: int) -> None:
        self._changes: deque[Change] = deque()
        self._keep = keep
        self._compacted = 0

    def add(self, change: Change) -> None:
        self._changes.append(change)
        if len(self._changes) > self._keep:
            self.compact(self._keep // 2)

    def compact(self, keep: int = 0) -> None:
        """Forget all but the latest ``keep`` changes; older watches must list again."""
        while len(self._changes) > keep:
            self._compacted = self._changes.popleft().revision

    def since(self, revision: int, storage: Storage) -> list[Change]:
        """Return a resource's changes after a revision; ApiError 410 when some are forgotten."""
        if revision < self._compacted:
            raise expired(revision)
        newer = takewhile(lambda change: change.revision > revision, reversed(self._changes))
        return [change for change in newer if change.storage == storage][::-1]

    def after(self, moment: datetime, storage: Storage) -> list[Change]:
        """Return a resource's known changes after a moment, newest first."""
        newer = takewhile(lambda change: change.at > moment, reversed(self._changes))
        return [change for change in newer if change.storage == storage]
