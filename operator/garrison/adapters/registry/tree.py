"""What an image's layers leave on disk, one put on the other (OCI image specification, layers)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from garrison.adapters.registry.archive import MAX_PATH, Entry, Sort
from garrison.errors import ImageError

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
MAX_DEPTH = 128
MAX_HOPS = 40
"""Symbolic links that one path may go through, as in Linux."""


@dataclass(frozen=True, slots=True)
class File:
    """``digest`` is a SHA-256."""

    digest: bytes
    executable: bool


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(slots=True)
class Folder:
    """``stated``: whether its layer has an entry for it, and not only for what is in it."""

    children: dict[str, Node] = field(default_factory=dict)
    stated: bool = False


Node: TypeAlias = File | Link | Folder | None
"""None is a device, a socket or a pipe."""
Parts: TypeAlias = Sequence[str]


def parts_of(path: str) -> list[str]:
    """Return the names of a path from the root. Raises ImageError for one that leads out of it."""
    found = [each for each in path.split("/") if each not in {"", "."}]
    if ".." in found or len(found) > MAX_DEPTH:
        raise ImageError(f"a layer has an entry at {path[:200]!r}")
    return found


def resolve(root: Folder, parts: Parts) -> Node:
    """Return what is at a path, through symbolic links; None when nothing is."""
    way: list[Node] = [root]
    todo = list(reversed(parts))
    hops = 0
    while todo:
        name, here = todo.pop(), way[-1]
        if name == "..":
            del way[max(1, len(way) - 1) :]
        elif name not in {"", "."}:
            node = here.children.get(name) if isinstance(here, Folder) else None
            if isinstance(node, Link):
                hops += 1
                todo += reversed(node.target.split("/"))
                way = [root] if node.target.startswith("/") else way
            else:
                way.append(node)
        if way[-1] is None or hops > MAX_HOPS or len(todo) > MAX_DEPTH * MAX_HOPS:
            return None
    return way[-1]


class Layer:
    """One layer, read entry by entry. ``base`` is what lies under it.

    ``made`` counts its folders, also those that no entry is for.
    """

    def __init__(self, base: Tree) -> None:
        self._base = base
        self.root = Folder()
        self.made = 0
        self.hidden: list[str] = []
        self.emptied: list[str] = []

    def add(self, entry: Entry) -> None:
        """Take an entry. Raises ImageError for one that makes no sense."""
        parts = parts_of(entry.name)
        if not parts:
            return
        name = parts[-1]
        if name == OPAQUE:
            self.emptied.append("/".join(parts[:-1]))
        elif name.startswith(WHITEOUT):
            self.hidden.append("/".join([*parts[:-1], name.removeprefix(WHITEOUT)]))
        elif entry.sort is Sort.FOLDER:
            self._stated(parts)
        else:
            self._folder(parts[:-1]).children[name] = self._node(entry)

    def _node(self, entry: Entry) -> Node:
        match entry.sort:
            case Sort.FILE:
                return File(entry.digest, entry.executable)
            case Sort.LINK:
                return Link(entry.target)
            case Sort.HARD_LINK:
                return self._linked(entry)
            case _:
                return None

    def _linked(self, entry: Entry) -> Node:
        parts = parts_of(entry.target)
        for root in (self.root, self._base.root):
            parent = resolve(root, parts[:-1])
            if isinstance(parent, Folder) and parts and parts[-1] in parent.children:
                found = parent.children[parts[-1]]
                if not isinstance(found, Folder):
                    return found
        raise ImageError(f"a layer links {entry.name[:200]!r} to {entry.target[:200]!r}: not there")

    def _stated(self, parts: Parts) -> None:
        """A folder takes the place of a link, and is not made where the link leads."""
        parent = self._folder(parts[:-1])
        known = parent.children.get(parts[-1])
        folder = known if isinstance(known, Folder) else self._made()
        folder.stated = True
        parent.children[parts[-1]] = folder

    def _folder(self, parts: Parts) -> Folder:
        here = self.root
        for count, name in enumerate(parts, start=1):
            node = here.children.get(name)
            if isinstance(node, Link):
                node = resolve(self.root, parts[:count])
            if not isinstance(node, Folder):
                node = here.children[name] = self._made()
            here = node
        return here

    def _made(self) -> Folder:
        self.made += 1
        return Folder()


class Tree:
    """A file system of names and digests."""

    def __init__(self) -> None:
        self.root = Folder()

    def put(self, layer: Layer) -> None:
        """Put a layer on top: what it hides goes first, then comes what it has."""
        for path in layer.hidden:
            parts = path.split("/")
            parent = resolve(self.root, parts[:-1])
            if isinstance(parent, Folder):
                parent.children.pop(parts[-1], None)
        for path in layer.emptied:
            folder = resolve(self.root, path.split("/"))
            if isinstance(folder, Folder):
                folder.children.clear()
        self._merge(layer.root)

    def _merge(self, top: Folder) -> None:
        """Without recursion: links make folders as deep as somebody likes."""
        inside = [(self.root, iter(top.children.items()), "")]
        while inside:
            base, left, at = inside[-1]
            for name, node in left:
                below, path = base.children.get(name), f"{at}/{name}"
                if isinstance(below, Link) and isinstance(node, Folder) and not node.stated:
                    below = resolve(self.root, path.split("/"))
                if isinstance(below, Folder) and isinstance(node, Folder):
                    inside.append((below, iter(node.children.items()), path))
                    break
                base.children[name] = node
            else:
                inside.pop()

    def paths(self) -> Iterator[tuple[str, Node]]:
        """Yield every path but the root's, and what is there. Raises ImageError for one without an end."""
        waiting: list[tuple[str, Folder]] = [("", self.root)]
        while waiting:
            folder, here = waiting.pop()
            for name, node in here.children.items():
                path = f"{folder}/{name}"
                if len(path) > MAX_PATH:
                    raise ImageError(f"its layers have a path beyond {MAX_PATH} characters")
                yield path, node
                if isinstance(node, Folder):
                    waiting.append((path, node))

    def files(self, is_named: Callable[[str], bool]) -> Iterator[tuple[str, File]]:
        """Yield what can be run, loaded, or is named; a named link to a file is that file."""
        for path, node in self.paths():
            if isinstance(node, File):
                if node.executable or is_library(path) or is_named(path):
                    yield path, node
            elif isinstance(node, Link) and is_named(path):
                found = resolve(self.root, path.split("/"))
                if isinstance(found, File):
                    yield path, found


def is_library(path: str) -> bool:
    """Return whether a file's name is that of a shared library."""
    name = path.rpartition("/")[2]
    return name.endswith(".so") or ".so." in name
