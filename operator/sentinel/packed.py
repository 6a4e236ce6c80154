"""The sentinel's zipapp, made once per installation; not inside itself, like ``packing``.

Making it takes a second, and every process of the operator wants it. It is kept beside the compiled
modules, and as trusted as they are: who may write there may change the program anyway.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from contextlib import suppress
from importlib.util import cache_from_source
from typing import Optional

from sentinel.packing import SOURCES, zipapp

_SEAL_BYTES = hashlib.sha256().digest_size


def packed(sources: str = SOURCES) -> bytes:
    """Return what ``zipapp`` does, from an earlier process where its sources were the same.

    Where nothing can be written, as in a container whose files are read-only, each process makes it.
    """
    beside = cache_from_source(os.path.join(sources, "__init__.py"))
    kept = os.path.join(os.path.dirname(beside), "sentinel.zipapp")
    made_of = _digest_of(sources)
    archive = _read(kept, made_of)
    if archive is None:
        archive = zipapp(sources)
        if not sys.dont_write_bytecode:
            _keep(kept, _seal(made_of, archive) + archive)
    return archive


def _digest_of(sources: str) -> bytes:
    """Return a digest of all that the archive depends on: modules, those that make it, and zlib."""
    digest = hashlib.sha256(zlib.ZLIB_RUNTIME_VERSION.encode())
    for folder, folders, names in os.walk(sources):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).digest()
                digest.update(os.path.relpath(path, sources).encode() + b"\0" + content)
    return digest.digest()


def _seal(made_of: bytes, archive: bytes) -> bytes:
    return hashlib.sha256(made_of + archive).digest()


def _read(path: str, made_of: bytes) -> Optional[bytes]:  # noqa: UP045 -- down to Python 3.9
    """Return the archive that is kept; None when there is none, or other sources, or half of it."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return None
    seal, archive = content[:_SEAL_BYTES], content[_SEAL_BYTES:]
    return archive if seal == _seal(made_of, archive) else None


def _keep(path: str, content: bytes) -> None:
    """Write the file in one step, for other processes read it meanwhile."""
    fresh = f"{path}.{os.getpid()}"
    with suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(fresh, "wb") as file:
            file.write(content)
        os.replace(fresh, path)
