"""What a server or a provider of the market has received, kept for whoever wants to look."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

Wanted = Callable[[str], bool]


class Seen:
    """Files by scope (``console``, a provider's or a node's name), written where it is wanted.

    Nothing is kept in memory: a search through the folder is a search through everything.
    """

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        self.folder = folder
        self._wanted = wanted

    def add(self, scope: str, name: str, data: bytes) -> None:
        """Append to the file of this name, when what this scope receives is kept."""
        if not data or not self._wanted(scope):
            return
        folder = self.folder / _safe(scope)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / _safe(name)).open("ab") as file:
            file.write(data)

    def request(self, scope: str, line: str, headers: Mapping[str, str], body: bytes) -> None:
        """Append one HTTP request."""
        head = "".join(f"{name}: {value}\n" for name, value in headers.items())
        self.add(scope, "requests", f"{line}\n{head}\n".encode() + body + b"\n\n")

    def files(self, scope: str) -> list[Path]:
        """Return what there is of a scope."""
        return sorted((self.folder / _safe(scope)).glob("*"))


def _safe(name: str) -> str:
    return _UNSAFE.sub("-", name).strip(".") or "unnamed"
