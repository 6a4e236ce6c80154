"""Reads a tar archive that comes in pieces, hashing its files and keeping none.

POSIX.1-1988 and -2001 (pax) with GNU's long names. ``tarfile`` reads headers of any size into memory,
and these archives are anybody's.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from garrison.errors import ImageError

BLOCK = 512
MAX_HEADER = 1 << 20
"""Of one extended header, bytes."""
MAX_PATH = 4096
"""Of one path, characters: no longer one can be named on Linux (PATH_MAX)."""

Feed: TypeAlias = Generator[None, bytes, None]


class Sort(StrEnum):
    FILE = "file"
    HARD_LINK = "hard link"
    LINK = "link"
    FOLDER = "folder"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member. ``target`` is that of a link; ``digest`` the SHA-256 of a file."""

    name: str
    sort: Sort
    target: str = ""
    executable: bool = False
    digest: bytes = b""


_SORTS = {
    tarfile.REGTYPE: Sort.FILE,
    tarfile.AREGTYPE: Sort.FILE,
    tarfile.CONTTYPE: Sort.FILE,
    tarfile.LNKTYPE: Sort.HARD_LINK,
    tarfile.SYMTYPE: Sort.LINK,
    tarfile.DIRTYPE: Sort.FOLDER,
}


class Archive:
    """Feed it pieces, take the entries that have become whole."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._piece = memoryview(b"")
        self._ended = False
        self._run = self._members()
        next(self._run)

    def feed(self, piece: bytes) -> list[Entry]:
        """Return the entries that are whole now. Raises ImageError for what is no archive."""
        if not self._ended:
            try:
                self._run.send(piece)
            except StopIteration:
                self._ended = True
        found, self.entries = self.entries, []
        return found

    def close(self) -> None:
        """Raises ImageError when the archive broke off. The two zero blocks may be missing."""
        if not self._ended and self._inside:
            raise ImageError("a layer breaks off inside a file")

    def _take(self, most: int) -> Generator[None, bytes, memoryview]:
        while not self._piece:
            self._piece = memoryview((yield))
        part, self._piece = self._piece[:most], self._piece[most:]
        return part

    def _exactly(self, size: int) -> Generator[None, bytes, bytes]:
        kept = bytearray()
        while len(kept) < size:
            kept += yield from self._take(size - len(kept))
        return bytes(kept)

    def _members(self) -> Feed:
        extended: dict[str, str] = {}
        while True:
            self._inside = False
            block = yield from self._exactly(BLOCK)
            self._inside = True
            try:
                info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
                return
            except tarfile.HeaderError as error:
                raise ImageError(f"a layer is no tar archive: {error}") from None
            if info.type in _EXTENSIONS:
                extended |= yield from self._extension(info)
                continue
            yield from self._member(info, extended)
            extended = {}

    def _extension(self, info: tarfile.TarInfo) -> Generator[None, bytes, dict[str, str]]:
        if info.size > MAX_HEADER:
            raise ImageError(f"a layer has a header of {info.size} bytes")
        raw = yield from self._exactly(info.size)
        yield from self._exactly(-info.size % BLOCK)
        text = raw.rstrip(b"\0").decode("utf-8", "surrogateescape")
        match info.type:
            case tarfile.GNUTYPE_LONGNAME:
                return {"path": text}
            case tarfile.GNUTYPE_LONGLINK:
                return {"linkpath": text}
            case tarfile.XHDTYPE:
                return _records(raw)
            case _:
                return {}

    def _member(self, info: tarfile.TarInfo, extended: dict[str, str]) -> Feed:
        if info.type == tarfile.GNUTYPE_SPARSE or "sparse" in extended:
            raise ImageError("a layer has sparse files, which are not read")
        sort = _SORTS.get(info.type, Sort.OTHER)
        size = _size(info, extended) if sort in {Sort.FILE, Sort.OTHER} else 0
        digest = yield from self._hashed(size)
        self.entries.append(
            Entry(
                name=_path(extended.get("path", info.name)),
                sort=sort,
                target=_path(extended.get("linkpath", info.linkname)),
                executable=bool(info.mode & 0o111),
                digest=digest if sort is Sort.FILE else b"",
            )
        )

    def _hashed(self, size: int) -> Generator[None, bytes, bytes]:
        digest, left = hashlib.sha256(), size
        while left:
            part = yield from self._take(left)
            digest.update(part)
            left -= len(part)
        yield from self._exactly(-size % BLOCK)
        return digest.digest()


_EXTENSIONS = frozenset(
    {
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.XGLTYPE,
    }
)

_TAKEN = frozenset({b"path", b"linkpath", b"size"})
_LENGTH = len(str(MAX_HEADER)) + 1


def _size(info: tarfile.TarInfo, extended: dict[str, str]) -> int:
    text = extended.get("size")
    size = info.size if text is None else int(text) if text.isdecimal() else -1
    if size < 0:
        raise ImageError(f"a layer has a file of size {text or info.size}")
    return size


def _path(text: str) -> str:
    if len(text) > MAX_PATH:
        raise ImageError(f"a layer has a path of {len(text)} characters: {text[:200]!r}")
    return text


def _records(raw: bytes) -> dict[str, str]:
    """The records of a pax header that matter here: ``length keyword=value\\n``, with its own length.

    Others are not kept: any number of headers may come before a file.
    """
    found: dict[str, str] = {}
    at = 0
    while at < len(raw):
        length, space, _ = raw[at : at + _LENGTH].partition(b" ")
        end = at + (int(length) if length.isdigit() else 0)
        key, equals, value = raw[at + len(length) + 1 : end].partition(b"=")
        if not space or not equals or not value.endswith(b"\n"):
            raise ImageError("a layer has a malformed pax header")
        if b"sparse" in key:
            found["sparse"] = ""
        elif key in _TAKEN:
            found[key.decode()] = value[:-1].decode("utf-8", "surrogateescape")
        at = end
    return found
