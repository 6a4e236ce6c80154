"""Reads an image's layers as they stream in: nothing is kept but names and digests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from garrison.adapters.registry.archive import Archive, Entry, Sort
from garrison.adapters.registry.inflate import Inflate
from garrison.adapters.registry.tree import File, Layer, Link, Tree
from garrison.errors import ImageError

_PYTHON = re.compile(r"python3(\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What is read of one image at most. ``packed`` and ``unpacked`` in bytes.

    ``entries`` and folders together, ``names`` in characters, bound what an image takes in memory.
    """

    packed: int = 16 << 30
    unpacked: int = 64 << 30
    entries: int = 300_000
    names: int = 64 << 20
    seconds: float = 1200.0


class Walk:
    """The layers of one image, lowest first. Each piece is worked off at once; call it in a thread."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._tree = Tree()
        self._entries = 0
        self._names = 0
        self._unpacked = 0
        self._begin()

    def _begin(self) -> None:
        self._layer = Layer(self._tree)
        self._digest = hashlib.sha256()
        self._inflate = Inflate()
        self._archive = Archive()

    def feed(self, data: bytes) -> None:
        """Read a piece of the current layer's blob. Raises ImageError."""
        self._digest.update(data)
        for piece in self._inflate.feed(data):
            self._unpacked += len(piece)
            if self._unpacked > self._bounds.unpacked:
                raise ImageError(f"its layers unpack to more than {self._bounds.unpacked} bytes")
            for entry in self._archive.feed(piece):
                self._add(entry)

    def _add(self, entry: Entry) -> None:
        before = self._layer.made
        if entry.sort is not Sort.OTHER:
            self._layer.add(entry)
        made = self._layer.made - before
        self._entries += max(1, made + (entry.sort is not Sort.FOLDER))
        if self._entries > self._bounds.entries:
            raise ImageError(f"its layers have more than {self._bounds.entries} entries")
        self._names += len(entry.name) + len(entry.target)
        if self._names > self._bounds.names:
            raise ImageError(f"its layers have more than {self._bounds.names} characters of names")

    def end(self, digest: str) -> None:
        """Take the current layer, once its blob is known to be the one that was asked for."""
        found = f"sha256:{self._digest.hexdigest()}"
        if found != digest:
            raise ImageError(f"the registry sent {found} for {digest}; push the image again")
        self._inflate.close()
        self._archive.close()
        self._tree.put(self._layer)
        self._begin()

    def files(self, is_named: Callable[[str], bool]) -> Mapping[str, str]:
        """Return the digests (hex) of what can be run, loaded, or is named. Raises ImageError."""
        found: dict[str, str] = {}
        names = 0
        for path, file in self._tree.files(is_named):
            names += len(path)
            if names > self._bounds.names:
                raise ImageError(f"its paths have more than {self._bounds.names} characters")
            found[path] = file.digest.hex()
        return found

    def python(self) -> bool | None:
        """Return whether anything is called python3; None when nothing can be run at all."""
        runs = False
        for path, node in self._tree.paths():
            if isinstance(node, File | Link) and _PYTHON.fullmatch(path.rpartition("/")[2]):
                return True
            runs = runs or (isinstance(node, File) and node.executable)
        return False if runs else None


def check_size(sizes: Sequence[int], bounds: Bounds) -> None:
    """Raise ImageError when the blobs are larger than what is read."""
    if sum(sizes) > bounds.packed:
        raise ImageError(
            f"its layers have {sum(sizes)} bytes, of which at most {bounds.packed} are read"
        )
