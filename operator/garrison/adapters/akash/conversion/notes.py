"""A resource that was converted, with what a person must look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Raw: TypeAlias = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Converted:
    """A resource, and what a person must know about it, in the order of the SDL."""

    body: Raw
    notes: list[str] = field(default_factory=list)

    def note(self, where: str, what: str) -> None:
        self.notes.append(f"{where}: {what}")
