"""The commands that the documents tell people to run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from tests.docs.document import Block, Document, documents

SHELL = "sh"
CONSOLE = "console"
_PROMPT = "$ "
_ASSIGNMENT = re.compile(r"^[A-Z_]+=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command line. ``whole`` ones can be typed as they stand; others name a command in prose."""

    where: str
    words: tuple[str, ...]
    whole: bool

    @property
    def program(self) -> str:
        return self.words[0]

    def __str__(self) -> str:
        return f"{self.where}: {shlex.join(self.words)}"


def commands(*programs: str) -> tuple[Command, ...]:
    """Return the commands of all documents, of these programs only when any is named."""
    found = [each for document in documents() for each in _commands(document)]
    return tuple(each for each in found if not programs or each.program in programs)


def _commands(document: Document) -> Iterator[Command]:
    for block in document.blocks:
        for line in _lines(block):
            words = _words(line)
            if words:
                yield Command(where=str(document), words=words, whole=True)
    for code in document.inline_code:
        words = _words(code) if _is_command(code) else ()
        if words:
            yield Command(where=str(document), words=words, whole=False)


def _lines(block: Block) -> list[str]:
    lines = block.text.replace("\\\n", " ").splitlines()
    match block.language:
        case "sh":
            return lines
        case "console":
            return [each.removeprefix(_PROMPT) for each in lines if each.startswith(_PROMPT)]
        case _:
            return []


def _is_command(code: str) -> bool:
    program, _, rest = code.partition(" ")
    if program == "PYTHONPATH=operator:." or program in {"garrison", "akash-sandbox", "kubectl"}:
        return bool(rest)
    return program in {"make", "helm"} and bool(rest)


def _words(line: str) -> tuple[str, ...]:
    words = shlex.split(line, comments=True)
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    return () if words[:1] == ["export"] else tuple(words)
