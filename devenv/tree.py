"""A root file system as a table: nothing is copied before a layer is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """The bytes of ``source`` at the time of writing."""

    source: Path
    executable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """An explicit folder; parents of other entries are made with mode 0755 by themselves."""

    mode: int = 0o755


Entry = File | Text | Link | Folder


@dataclass(frozen=True, slots=True)
class Tree:
    """Entries by path, without a leading slash. The first entry for a path stays."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def add(self, path: str, entry: Entry) -> None:
        self.entries.setdefault(path.lstrip("/"), entry)

    def add_folder(self, path: str, source: Path, *, skip: frozenset[str] = frozenset()) -> None:
        """Add every file and link below ``source``, except names in ``skip`` and their contents."""
        for child in sorted(source.iterdir()):
            if child.name in skip:
                continue
            place = f"{path}/{child.name}"
            if child.is_symlink():
                self.add(place, Link(target=str(child.readlink())))
            elif child.is_dir():
                self.add_folder(place, child, skip=skip)
            elif child.is_file():
                executable = bool(child.stat().st_mode & 0o100)
                self.add(place, File(source=child, executable=executable))

    def ordered(self) -> Iterator[tuple[str, Entry]]:
        """Yield every entry by path, each after the folders that hold it."""
        whole = dict(self.entries)
        for path in self.entries:
            for parent in PurePosixPath(path).parents:
                if str(parent) != ".":
                    whole.setdefault(str(parent), Folder())
        yield from sorted(whole.items(), key=lambda item: PurePosixPath(item[0]).parts)

    def fingerprint(self) -> Iterator[bytes]:
        """Yield what tells this tree from another, without reading large files."""
        for path, entry in self.ordered():
            yield path.encode()
            match entry:
                case File(source=source):
                    stat = source.stat()
                    yield f"{source} {stat.st_size} {stat.st_mtime_ns} {entry}".encode()
                case _:
                    yield str(entry).encode()
