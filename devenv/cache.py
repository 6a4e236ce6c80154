"""Where built and downloaded parts are kept, outside the tree."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from devenv.errors import DevenvError

_KEY_LENGTH = 16
_GIB = 1 << 30
_IN_USE_SECONDS = 3600


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


def require_space(folder: Path, size: int, what: str) -> None:
    """Raise DevenvError when ``folder``'s file system has less than ``size`` bytes free for ``what``."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise DevenvError(
            f"{what} needs {size / _GIB:.0f} GiB of disk for {folder}, and {free / _GIB:.1f} are free; "
            "free some, or set XDG_CACHE_HOME to a larger disk"
        )


def used(folder: Path) -> None:
    """Note that a part is used now, so that it is forgotten last."""
    os.utime(folder)


def forget_old(folder: Path, prefix: str, *, keep: int) -> list[Path]:
    """Delete the parts ``prefix*`` beyond the ``keep`` used last; returns them.

    What was used within the last hour stays: another process may read it.
    """
    found = [each for each in folder.glob(f"{prefix}*") if each.is_dir()]
    found.sort(key=lambda each: each.stat().st_mtime, reverse=True)
    limit = time.time() - _IN_USE_SECONDS
    old = [each for each in found[keep:] if each.stat().st_mtime < limit]
    for each in old:
        shutil.rmtree(each, ignore_errors=True)
    return old
