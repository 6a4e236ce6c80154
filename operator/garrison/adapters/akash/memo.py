"""A bounded memory: the oldest entry goes first."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Memo(Generic[T]):
    """Keeps at most ``size`` values by key."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[str, T] = {}

    def keep(self, key: str, value: T) -> None:
        """Remember a value, forgetting the oldest one when full."""
        self._kept.pop(key, None)
        self._kept[key] = value
        while len(self._kept) > self._size:
            del self._kept[next(iter(self._kept))]

    def get(self, key: str) -> T | None:
        """Return the value, None when it is not (or no longer) known."""
        return self._kept.get(key)

    def drop(self, key: str) -> None:
        """Forget a value."""
        self._kept.pop(key, None)
