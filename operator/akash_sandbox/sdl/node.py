"""A mapping of the SDL document that knows its own path, for errors that name the place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from akash_sandbox.sdl.errors import SdlError


class Node:
    """One mapping; every accessor raises SdlError naming path and field."""

    def __init__(self, raw: Any, path: str) -> None:
        if raw is None:
            raw = {}
        if not isinstance(raw, Mapping):
            raise SdlError(f"SDL invalid: {path or 'document'}: must be a mapping")
        self.path = path
        self._raw: Mapping[str, Any] = {str(key): value for key, value in raw.items()}

    def only(self, allowed: Collection[str]) -> Node:
        """Return the node itself, after refusing every key outside ``allowed``."""
        for key in self._raw:
            if key not in allowed:
                where = f" in {self.path}" if self.path else ""
                raise SdlError(f"sdl: unexpected field {key}{where}")
        return self

    def __contains__(self, key: str) -> bool:
        return key in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def get(self, key: str) -> Any:
        return self._raw.get(key)

    def child(self, key: str) -> Node:
        return Node(self._raw.get(key), self.where(key))

    def where(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def children(self) -> Iterator[tuple[str, Node]]:
        for key in self._raw:
            yield key, self.child(key)

    def nodes(self, key: str) -> list[Node]:
        """Return a list of mappings."""
        return [Node(item, f"{self.where(key)}[{i}]") for i, item in enumerate(self.items(key))]

    def items(self, key: str) -> list[Any]:
        value = self._raw.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise SdlError(f"SDL invalid: {self.where(key)}: must be a list")
        return value

    def texts(self, key: str) -> list[str] | None:
        """Return a list of strings; None when the field is absent, as the manifest keeps it."""
        if self._raw.get(key) is None:
            return None
        return [str(item) for item in self.items(key)]

    def text(self, key: str) -> str:
        value = self._raw.get(key)
        return "" if value is None else str(value)

    def integer(self, key: str, default: int = 0) -> int:
        value = self._raw.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise SdlError(f"SDL invalid: {self.where(key)}: {value!r} is not a whole number")
        return value

    def flag(self, key: str) -> bool:
        value = self._raw.get(key, False)
        if not isinstance(value, bool):
            raise SdlError(f"SDL invalid: {self.where(key)}: {value!r} is neither true nor false")
        return value
