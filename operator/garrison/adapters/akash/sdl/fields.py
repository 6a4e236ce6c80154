"""A cursor over a YAML document that knows its path, and collects what is wrong instead of raising.

Scalars are read as the reference's YAML library reads them into typed fields: text is taken as
written whatever it looks like (``1e3`` stays ``1e3``), null is the empty value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from difflib import get_close_matches
from typing import TypeVar

import yaml

from garrison.adapters.akash.sdl.errors import Problem
from garrison.adapters.akash.sdl.source import MERGE, position

T = TypeVar("T")

TEXT = "tag:yaml.org,2002:str"
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
# YAML 1.1's further spellings, which are taken quoted too.
_YES = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"})
_NO = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF"})
_INTEGER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO]?[0-7_]+|0[bB][01_]+|[0-9][0-9_]*)")
MOST_UINT32 = (1 << 32) - 1


class Findings:
    """What is wrong so far, and where every field stands."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._where: dict[str, yaml.Node] = {}

    def note(self, path: str, node: yaml.Node) -> None:
        self._where[path] = node

    def add(self, path: str, message: str, node: yaml.Node | None = None) -> None:
        """Record a problem at a path; its position is that of the nearest field that exists."""
        self.problems.append(self._problem(path, message, node))

    def warn(self, path: str, message: str) -> None:
        """Record what is taken as it stands, though it may not be what was meant."""
        self.warnings.append(self._problem(path, message, None))

    def _problem(self, path: str, message: str, node: yaml.Node | None) -> Problem:
        line, column = position(node or self._nearest(path))
        return Problem(line=line, column=column, field=path, message=message)

    def _nearest(self, path: str) -> yaml.Node:
        while path not in self._where:
            path = re.sub(r"(^|\.|\[)[^.\[]*$", "", path)
        return self._where[path]


class Field:
    """One value of the document, or the absence of one."""

    def __init__(
        self,
        path: str,
        node: yaml.Node | None,
        findings: Findings,
        key: yaml.Node | None = None,
    ) -> None:
        self.path = path
        self._node = node
        self._findings = findings
        if node is not None:
            # A mapping or list starts below its name; people look for the name.
            findings.note(path, node if key is None or isinstance(node, yaml.ScalarNode) else key)

    @property
    def absent(self) -> bool:
        """Whether the field is missing or null."""
        return self._node is None or _is_null(self._node)

    @property
    def given(self) -> bool:
        """Whether the field is written, null included."""
        return self._node is not None

    @property
    def is_list(self) -> bool:
        return isinstance(self._node, yaml.SequenceNode)

    def fail(self, message: str) -> None:
        self._findings.add(self.path, message)

    def warn(self, message: str) -> None:
        self._findings.warn(self.path, message)

    def record(self, *allowed: str) -> Record:
        """Return a mapping of which some fields are known; the reference drops others, so they warn.

        An absent one has no fields.
        """
        record = Record(self, dict(self._pairs()), self._findings)
        for field, why in record.unknown(allowed):
            field.warn(f"{why}; it is left out")
        return record

    def strict_record(self, *allowed: str) -> Record:
        """Return a mapping in which other fields are problems, as in the reference."""
        record = Record(self, dict(self._pairs()), self._findings)
        for field, why in record.unknown(allowed):
            field.fail(why)
        return record

    def entries(self) -> dict[str, Field]:
        """Return a mapping with names of the author's choice."""
        return dict(self._pairs())

    def items(self) -> list[Field] | None:
        """Return a list's items, None when absent."""
        node = self._node
        if node is None or self.absent:
            return None
        if not isinstance(node, yaml.SequenceNode):
            self.fail("must be a list: put - before each item")
            return None
        return [
            Field(f"{self.path}[{index}]", child, self._findings)
            for index, child in enumerate(node.value)
        ]

    def text(self) -> str:
        """Return a scalar as it is written, "" when absent."""
        node = self._node
        if node is None or self.absent:
            return ""
        if not isinstance(node, yaml.ScalarNode):
            self.fail("must be text; quote it")
            return ""
        return str(node.value)

    def texts(self) -> tuple[str, ...] | None:
        """Return a list of scalars, None when absent; an empty item (null) is none, as in the reference."""
        items = self.items()
        return None if items is None else tuple(item.text() for item in items if not item.absent)

    def required(self, remedy: str) -> str:
        """Return a text that must not be empty."""
        text = self.text()
        if not text and (self.absent or isinstance(self._node, yaml.ScalarNode)):
            self.fail(f"missing; {remedy}")
        return text

    def measured(self, read: Callable[[str], T], otherwise: T) -> T:
        """Return what ``read`` makes of the text; its ValueError becomes a problem."""
        try:
            return read(self.text())
        except ValueError as error:
            if self.absent or isinstance(self._node, yaml.ScalarNode):
                self.fail("missing" if self.absent else str(error))
            return otherwise

    def integer(self, least: int = 0, most: int = MOST_UINT32) -> int:
        """Return a whole number, 0 when absent; a quoted one is text, not a number."""
        if self.absent:
            return 0
        node = self._node
        plain = isinstance(node, yaml.ScalarNode) and _is_plain(node)
        value = _integer(node.value) if plain and isinstance(node, yaml.ScalarNode) else None
        if value is None or not least <= value <= most:
            self.fail(f"must be a whole number from {least} to {most}, without quotes")
            return 0
        return value

    def flag(self) -> bool:
        """Return a truth value, False when absent."""
        if self.absent:
            return False
        value = _flag(self._node) if isinstance(self._node, yaml.ScalarNode) else None
        if value is None:
            self.fail("must be true or false")
        return bool(value)

    def one_of(self, choices: Collection[str]) -> str:
        """Return a text out of a few, "" when absent or another (which is a problem)."""
        text = self.text()
        if text and text not in choices:
            self.fail(f"{text!r} is not known; write one of {', '.join(sorted(choices))}")
            return ""
        return text

    def _pairs(self) -> Iterator[tuple[str, Field]]:
        node = self._node
        if node is None or self.absent:
            return
        if not isinstance(node, yaml.MappingNode):
            self.fail("must be a mapping of names to values")
            return
        for name, (key, value) in self._merged(node).items():
            path = f"{self.path}.{name}" if self.path else name
            yield name, Field(path, value, self._findings, key)

    def _merged(self, node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Return a mapping's pairs; merge keys give what is not written out."""
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if key.tag == MERGE:
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    merged = {**self._merged_from(source), **merged}
            elif not isinstance(key, yaml.ScalarNode):
                self._findings.add(self.path, "a name must be text, not a list or mapping", key)
            elif key.value in own:
                self._findings.add(self.path, f"{key.value!r} stands here twice; remove one", key)
            else:
                own[key.value] = (key, value)
        return {**merged, **own}

    def _merged_from(self, source: yaml.Node) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        if isinstance(source, yaml.MappingNode):
            return self._merged(source)
        self._findings.add(self.path, "<< takes the alias of a mapping", source)
        return {}


class Record:
    """The fields of a mapping whose names the SDL fixes."""

    def __init__(self, whole: Field, fields: dict[str, Field], findings: Findings) -> None:
        self.whole = whole
        self._fields = fields
        self._findings = findings

    def __getitem__(self, name: str) -> Field:
        path = f"{self.whole.path}.{name}" if self.whole.path else name
        return self._fields.get(name) or Field(path, None, self._findings)

    def unknown(self, allowed: Collection[str]) -> Iterator[tuple[Field, str]]:
        """Return the other fields, and what to say of each."""
        for name, field in self._fields.items():
            if name in allowed:
                continue
            near = get_close_matches(name, allowed, 1)
            hint = f"write {near[0]}" if near else f"known here: {', '.join(sorted(allowed))}"
            yield field, f"unknown field; {hint}"


def _is_plain(node: yaml.ScalarNode) -> bool:
    """Whether a scalar may be more than text: it is not quoted, or has a tag (``!!int "80"``)."""
    return not node.style or node.tag != TEXT


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and _is_plain(node) and node.value in _NULL


def _flag(node: yaml.ScalarNode) -> bool | None:
    if node.value in _YES or (_is_plain(node) and node.value in _TRUE):
        return True
    if node.value in _NO or (_is_plain(node) and node.value in _FALSE):
        return False
    return None


def _integer(text: str) -> int | None:
    """Return a whole number in the notations of YAML's two dialects, None when it is none."""
    if len(text) > 64 or not _INTEGER.fullmatch(text):
        return None
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    try:
        octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
        return sign * (int(digits, 8) if octal else int(digits, 0))
    except ValueError:
        return None
