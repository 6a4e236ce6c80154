"""Markdown documents as the tests need them: code blocks, inline code, links, headings, tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from devenv.checkout import ROOT

_FENCE = re.compile(r"^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block; ``language`` is "" where none is given."""

    language: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Document:
    """One Markdown file of the checkout."""

    path: Path

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        """Return the whole file."""
        return self.path.read_text()

    @cached_property
    def prose(self) -> str:
        """Return the file without its fenced blocks."""
        return _FENCE.sub("", self.text)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Return the fenced blocks, in order."""
        found = _FENCE.finditer(self.text)
        return tuple(Block(language=each["language"], text=each["text"]) for each in found)

    @cached_property
    def inline_code(self) -> tuple[str, ...]:
        """Return what stands between backticks in the prose."""
        return tuple(_CODE.findall(self.prose))

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Return the targets of links and images."""
        return tuple(_LINK.findall(self.prose))

    @cached_property
    def anchors(self) -> frozenset[str]:
        """Return the headings' anchors."""
        return frozenset(_anchor(each) for each in _HEADING.findall(self.prose))

    def cells(self, header: str) -> tuple[str, ...]:
        """Return the code in the first cells of every table whose first column has this header."""
        rows, inside = [], False
        for line in self.prose.splitlines():
            first = line.split("|")[1].strip() if line.startswith("|") else None
            inside = first is not None and (inside or first == header)
            if inside and first is not None:
                rows += _CODE.findall(first)
        return tuple(rows)


def documents() -> tuple[Document, ...]:
    """Return every document of the project."""
    paths = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
    return tuple(Document(path=path) for path in paths)


def document(name: str) -> Document:
    """Return one document by its path in the checkout."""
    return Document(path=ROOT / name)


def _anchor(heading: str) -> str:
    kept = re.sub(r"[^a-z0-9 _-]", "", heading.lower())
    return kept.replace(" ", "-")
