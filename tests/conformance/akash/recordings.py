"""What a real chain answered (node 2.1.0-rc12): bodies verbatim, with paths and statuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHAIN = Path(__file__).parent / "chain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One recorded call. ``path`` has its query."""

    name: str
    method: str
    path: str
    status: int


def exchanges() -> Mapping[str, Exchange]:
    """Return every recorded call by its name (the file's, without ``.json``)."""
    lines = (CHAIN / "INDEX.tsv").read_text(encoding="utf-8").splitlines()
    read = (line.split("\t") for line in lines)
    found = (
        Exchange(name=file.removesuffix(".json"), method=method, path=path, status=int(status))
        for file, method, path, status in read
    )
    return {each.name: each for each in found}


def body(name: str) -> Any:
    """Return a recorded answer; bytes that are no text are replaced."""
    return json.loads((CHAIN / f"{name}.json").read_bytes().decode(errors="replace"))


def names(suffix: str) -> list[str]:
    """Return the names that end with ``suffix``, such as ``.tx``."""
    return sorted(path.stem for path in CHAIN.glob(f"*{suffix}.json"))
