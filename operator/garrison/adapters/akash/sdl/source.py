"""YAML as positioned nodes, bounded: no input makes it slow, deep or cyclic."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import yaml

from garrison.adapters.akash.sdl.errors import Problem, SdlError

MAX_BYTES = 1 << 20
MAX_NODES = 200_000
"""After every alias is followed; a small document can say a billion."""

# libyaml bounds the nesting itself, and is the library that the reference's parser descends from.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MERGE = "tag:yaml.org,2002:merge"


def compose(source: bytes | str, warn: Callable[[Problem], None]) -> yaml.MappingNode:
    """Return the root of a document that is one mapping. Raises SdlError.

    Only the first document of a file is read, as the reference does; ``warn`` is told of another.
    """
    if len(source) > MAX_BYTES:
        _refuse(1, 1, f"the file is larger than {MAX_BYTES >> 20} MiB; an SDL is a few kilobytes")
    try:
        root, more = _first(source)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        _refuse(line, column, f"not YAML: {error.problem or error.context}")
    except (yaml.YAMLError, UnicodeError) as error:
        _refuse(1, 1, f"not YAML: {' '.join(str(error).split())}")
    except RecursionError:
        _refuse(1, 1, "nested too deeply")
    if not isinstance(root, yaml.MappingNode):
        _refuse(1, 1, "an SDL is a mapping that starts with version: and services:")
    _Weight().of(root)
    if more is not None:
        message = "a second document begins here; only the first is read"
        warn(Problem(line=more, column=1, field="", message=message))
    return root


def _first(source: bytes | str) -> tuple[yaml.Node | None, int | None]:
    """Return the first document, and the line on which another begins."""
    loader = _LOADER(source)
    try:
        loader.check_node()  # past the beginning of the stream
        root = loader.get_node()
        return root, _next_line(loader) if root is not None else None
    finally:
        loader.dispose()


def _next_line(loader: yaml.SafeLoader) -> int | None:
    try:
        if not loader.check_event(yaml.DocumentStartEvent):
            return None
        begins: yaml.Event = loader.peek_event()  # type: ignore[no-untyped-call]
    except yaml.YAMLError:
        return None  # whatever it is, it is behind the end
    return begins.start_mark.line + 1 if begins.start_mark is not None else None


class _Weight:
    """Counts the nodes that a reader of the document meets, each alias followed."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._open: set[int] = set()

    def of(self, node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        key = id(node)
        if key not in self._known:
            self._known[key] = self._counted(node, key)
        return self._known[key]

    def _counted(self, node: yaml.Node, key: int) -> int:
        if key in self._open:
            _refuse_at(node, "this anchor contains itself; remove the alias")
        self._open.add(key)
        total = 1 + sum(self.of(child) for child in _children(node))
        self._open.discard(key)
        if total > MAX_NODES:
            _refuse_at(node, f"its aliases expand to more than {MAX_NODES} values; write fewer")
        return total


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value)


def position(node: yaml.Node) -> tuple[int, int]:
    """Return line and column of a node, both from 1."""
    return node.start_mark.line + 1, node.start_mark.column + 1


def _refuse_at(node: yaml.Node, message: str) -> NoReturn:
    _refuse(*position(node), message)


def _refuse(line: int, column: int, message: str) -> NoReturn:
    raise SdlError([Problem(line=line, column=column, field="", message=message)]) from None
