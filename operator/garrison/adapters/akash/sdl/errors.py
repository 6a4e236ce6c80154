"""What is wrong with an SDL, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """One defect; ``line`` and ``column`` count from 1, ``field`` is such as ``services.web.image``."""

    line: int
    column: int
    field: str
    message: str

    @property
    def what(self) -> str:
        """Return field and message, without the position."""
        return f"{self.field}: {self.message}" if self.field else self.message

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.what}"


class SdlError(ValueError):
    """The document is not an SDL that can be deployed; ``problems`` is not empty, in line order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))
