"""A value that changes over time, readable as of any moment."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


class Timeline(Generic[T]):
    """``first`` until the first change; changes are made in the order of time."""

    def __init__(self, first: T) -> None:
        self._first = first
        self._changes: list[tuple[datetime, T]] = []

    def set(self, at: datetime, value: T) -> None:
        self._changes.append((at, value))

    def at(self, moment: datetime) -> T:
        return next((value for at, value in reversed(self._changes) if at <= moment), self._first)
