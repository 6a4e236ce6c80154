"""Layers made of a few words: paths and what is there."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from typing import TypeAlias

Member: TypeAlias = tuple[str, str | None] | tuple[str, str, str]
"""(path, content), (path, None) for a folder, or (path, "-> " or "=> ", target) for links."""


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def tar(members: Iterable[Member], *, form: int = tarfile.PAX_FORMAT, mode: int = 0o755) -> bytes:
    """A tar archive; files can be run unless ``mode`` says otherwise."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as archive:
        for member in members:
            info = tarfile.TarInfo(member[0])
            info.mode = mode
            content = b""
            if len(member) == 3:
                info.type = tarfile.SYMTYPE if member[1] == "-> " else tarfile.LNKTYPE
                info.linkname = member[2]
            elif member[1] is None:
                info.type = tarfile.DIRTYPE
            else:
                content = member[1].encode()
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def packed(*members: Member) -> bytes:
    """A gzip layer."""
    return gzip.compress(tar(members), mtime=0)
