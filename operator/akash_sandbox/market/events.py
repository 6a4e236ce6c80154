"""What happened, as the chain tells it with a transaction's result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_GREATEST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    type: str
    attributes: tuple[tuple[str, str], ...]


class Events:
    """Collects events until somebody takes them; nobody has to."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def tell(self, type_: str, /, *attributes: tuple[str, str]) -> None:
        """Note an event."""
        if len(self._events) < _GREATEST:
            self._events.append(Event(type=type_, attributes=attributes))

    def typed(self, type_: str, /, **attributes: Any) -> None:
        """Note one of the market's own events; its attributes are JSON values."""
        self.tell(type_, *((name, _json(value)) for name, value in sorted(attributes.items())))

    def take(self) -> list[Event]:
        """Return what was collected since the last time."""
        taken, self._events = self._events, []
        return taken


def _json(value: Mapping[str, Any] | str) -> str:
    return json.dumps(value, separators=(",", ":"))
