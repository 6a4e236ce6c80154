"""The sentinel that this installation injects, made from the package that is installed beside it."""

from __future__ import annotations

import functools
import hashlib
import importlib
from dataclasses import dataclass

PACKAGE = "sentinel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The sentinel's zipapp, and the text that ``python3 -c`` starts it with."""

    archive: bytes
    loader: str

    @property
    def digest(self) -> str:
        """Return the archive's SHA-256, hex."""
        return hashlib.sha256(self.archive).hexdigest()


@functools.cache
def bundle() -> Bundle:
    """Return the sentinel that this installation injects: the file that `make sentinel` writes.

    The first process of an installation makes it, where it can keep it; see ``sentinel.packed``.
    """
    loader = importlib.import_module(f"{PACKAGE}.agent.loader")
    packed = importlib.import_module(f"{PACKAGE}.packed")
    return Bundle(archive=bytes(packed.packed()), loader=str(loader.LOADER))
