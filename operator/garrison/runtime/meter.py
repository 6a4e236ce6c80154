"""What the engine reports about itself; telemetry turns it into metrics."""

from __future__ import annotations

from typing import Protocol

from garrison.api.meta import Key


class Meter(Protocol):
    """Called synchronously; must not raise and must not block."""

    def passed(self, key: Key, seconds: float, outcome: str) -> None:
        """A pass ended: ``Done``, ``Failed``, ``Conflict``, ``Gone`` or ``Crashed``."""

    def acted(self, key: Key, action: str, error: Exception | None) -> None:
        """An action was performed; ``action`` is its class name."""

    def wrote(self, key: Key, kind: str) -> None:
        """A write to the API server: ``status`` or ``event``."""

    def resynced(self, objects: int, ghosts: int) -> None:
        """A full listing was compared with the cache."""


class NoMeter:
    """Reports nothing."""

    def passed(self, key: Key, seconds: float, outcome: str) -> None: ...

    def acted(self, key: Key, action: str, error: Exception | None) -> None: ...

    def wrote(self, key: Key, kind: str) -> None: ...

    def resynced(self, objects: int, ghosts: int) -> None: ...
