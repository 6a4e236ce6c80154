"""Where built and downloaded parts are kept, outside the tree."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

_KEY_LENGTH = 16


def cache_home() -> Path:
    """Return ``${XDG_CACHE_HOME:-~/.cache}/garrison``; relative values of the variable are ignored.

    Source: XDG Base Directory Specification 0.8, "Environment variables".
    """
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".cache"
    return base / "garrison"


def cache_folder(name: str) -> Path:
    """Return the cache's folder ``name``, made when missing."""
    folder = cache_home() / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache_key(parts: Iterable[bytes]) -> str:
    """Return a short name for exactly this sequence of parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:_KEY_LENGTH]
