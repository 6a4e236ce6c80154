"""Makes the sentinel's zipapp (PEP 441) from its own package; the only module that is not inside.

The same sources give the same bytes, on any machine with the same zlib: names sorted, one
timestamp, fixed attributes. It has to fit into an environment variable, so the sources go in bare:
without comments, docstrings, annotations of functions and what only those import; one space for each
level and none between operators, numbers for private names. Every statement keeps its line, for tracebacks.
"""

from __future__ import annotations

import ast
import io
import os
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from typing import Tuple, Union  # noqa: UP035 -- evaluated at run time on Python 3.9

SOURCES = os.path.dirname(os.path.abspath(__file__))
GOAL_BYTES = 64 * 1024
_SHEBANG = b"#!/usr/bin/env python3\n"
_MEMBER = "modules"
_ENTRY = """\
import sys
from importlib.machinery import ModuleSpec

class Modules:
    def __init__(self, archive, sources):
        self.archive, self.sources = archive, sources
    def path(self, name):
        base = name.replace(".", "/")
        return next((p for p in (base + ".py", base + "/__init__.py") if p in self.sources), None)
    def find_spec(self, name, path=None, target=None):
        found = self.path(name)
        if found:
            origin = self.archive + "/" + found
            package = found.endswith("/__init__.py")
            spec = ModuleSpec(name, self, origin=origin, is_package=package)
            spec.has_location = True
            return spec
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        spec = module.__spec__
        exec(compile(self.get_source(spec.name), spec.origin, "exec"), module.__dict__)
    def get_source(self, name):
        return self.sources[self.path(name)]

archive = __loader__.archive
parts = __loader__.get_data(archive + "/modules").decode().split("\\0")
sys.meta_path.insert(0, Modules(archive, dict(zip(parts[::2], parts[1::2]))))
from sentinel.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_UNIX = 3
_INDENT = 4
_FOR_ANNOTATIONS = ("collections.abc", "types", "typing")
_LAYOUT = (tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE, tokenize.NL)
_FSTRING_START = getattr(tokenize, "FSTRING_START", -1)  # from Python 3.12 on
_FSTRING_END = getattr(tokenize, "FSTRING_END", -1)
_WORD = re.compile(r"[\w\"'.]")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_PRIVATE = re.compile(r"(?<![\w}])_[A-Za-z]\w+(?<!_)\b")
_FOREIGN = {"_asdict", "_exit", "_fields", "_make", "_replace"}  # also names of Python's own
_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
_Place = Tuple[int, int]  # noqa: UP006


def zipapp(sources: str = SOURCES) -> bytes:
    """Return the package in the folder ``sources`` as an executable zip archive.

    All modules are one member, because apart they take a quarter more.
    """
    buffer = io.BytesIO()
    buffer.write(_SHEBANG)
    with zipfile.ZipFile(buffer, "a") as archive:
        _add(archive, "__main__.py", _ENTRY.encode())
        _add(archive, _MEMBER, _modules(sources, sources))
    return buffer.getvalue()


def part_size(folder: str, sources: str = SOURCES) -> int:
    """Return how many bytes one folder of the package takes, compressed."""
    return len(zlib.compress(_modules(sources, os.path.join(sources, folder)), 9))


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.external_attr = _REGULAR_FILE
    entry.create_system = _UNIX
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)


def _modules(sources: str, folder: str) -> bytes:
    """Return path and bare source of each module below ``folder``, zero bytes between."""
    parent = os.path.dirname(sources)
    parts = []
    for path in sorted(_paths(folder)):
        with open(path, encoding="utf-8") as file:
            parts += [os.path.relpath(path, parent), bare(file.read())]
    return _shortened("\0".join(parts), parts[1::2]).encode()


def _shortened(text: str, sources: list[str]) -> str:
    """Number the private names that the package itself defines; the same name is the same number.

    A name that is also a part of a text stays: the text is for others. A text that is the whole name
    follows it, as in ``__slots__``.
    """
    defined: set[str] = set()
    shown: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            shown.update(_shown(node))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                defined.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                defined.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                defined.add(node.id)
    private = sorted(name for name in defined - shown - _FOREIGN if _PRIVATE.fullmatch(name))
    numbers = {name: f"_{number}" for number, name in enumerate(private)}
    return _PRIVATE.sub(lambda found: numbers.get(found[0], found[0]), text)


def _shown(node: ast.AST) -> list[str]:
    """Return what looks like a private name within a text."""
    if isinstance(node, ast.JoinedStr):
        texts = [each.value for each in node.values if isinstance(each, ast.Constant)]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        texts = [] if _PRIVATE.fullmatch(node.value) else [node.value]
    else:
        texts = []
    return [name for text in texts for name in _PRIVATE.findall(str(text))]


def _paths(folder: str) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if name.endswith(".py") and path != os.path.join(SOURCES, "packing.py"):
                yield path


def bare(source: str) -> str:
    """Return Python source that does the same, in fewer bytes; every statement on its line."""
    tree = ast.parse(source)
    lines = source.splitlines()
    quoted: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
        elif token.start[0] != token.end[0] and token.string.strip():
            quoted.update(range(token.start[0], token.end[0]))
    for begin, end in sorted(_annotations(tree, lines), reverse=True):
        _cut(lines, begin, end)
    _blank_texts(tree, lines)
    _thin_imports(tree, lines)
    shallow = [line if row in quoted else _shallow(line) for row, line in enumerate(lines)]
    return _tight("\n".join(shallow) + "\n")


def _shallow(line: str) -> str:
    rest = line.lstrip(" ")
    return " " * ((len(line) - len(rest)) // _INDENT) + rest


def _tight(source: str) -> str:
    """Leave out spaces that part nothing. f-strings stay: not all Pythons look into them."""
    lines = source.split("\n")
    spaces, inside = [], 0
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for token, following in zip(tokens, tokens[1:]):
        inside += (token.type == _FSTRING_START) - (token.type == _FSTRING_END)
        (row, end), (next_row, begin) = token.end, following.start
        if inside or row != next_row or begin <= end or token.type in _LAYOUT:
            continue
        if not (_WORD.match(token.string[-1:]) and _WORD.match(following.string[:1])):
            spaces.append((row - 1, end, begin))
    for row, end, begin in reversed(spaces):
        lines[row] = lines[row][:end] + lines[row][begin:]
    return "\n".join(lines)


def _annotations(tree: ast.AST, lines: list[str]) -> set[tuple[_Place, _Place]]:
    """Return where annotations of functions and inside them are: nothing reads those."""
    found = set()
    functions = [
        node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    for function in functions:
        if function.returns:
            row, column = function.returns.lineno, function.returns.col_offset
            arrow = lines[row - 1].rindex("->", 0, column)
            begin = len(lines[row - 1][:arrow].rstrip())
            found.add(((row, begin), _end(function.returns)))
        for argument in _arguments(function):
            if argument.annotation:
                begin = argument.col_offset + len(argument.arg)
                found.add(((argument.lineno, begin), _end(argument.annotation)))
        for node in ast.walk(function):
            if isinstance(node, ast.AnnAssign) and node.value:
                found.add((_end(node.target), _end(node.annotation)))
    return found


def _arguments(function: _Function) -> list[ast.arg]:
    given = function.args
    rest = [each for each in (given.vararg, given.kwarg) if each]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]


def _end(node: ast.expr) -> _Place:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def _cut(lines: list[str], begin: _Place, end: _Place) -> None:
    (first, left), (last, right) = begin, end
    rest = lines[last - 1][right:]
    if first == last:
        lines[first - 1] = lines[first - 1][:left] + rest
        return
    lines[first - 1] = lines[first - 1][:left]
    lines[first : last - 1] = [""] * (last - first - 1)
    lines[last - 1] = rest


def _blank_texts(tree: ast.AST, lines: list[str]) -> None:
    """Blank docstrings, and the texts that stand after what they explain."""
    for node in ast.walk(tree):
        if not isinstance(node, _DOCUMENTED):
            continue
        for statement in node.body:
            if _is_text(statement):
                first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
                lines[first:last] = [""] * (last - first)
                if len(node.body) == 1:
                    lines[first] = " " * statement.col_offset + "pass"


def _thin_imports(tree: ast.Module, lines: list[str]) -> None:
    """Leave out imported names that only annotations use."""
    used = _used(tree)
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module in _FOR_ANNOTATIONS:
            kept = [each.name for each in statement.names if each.name in used]
            first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
            lines[first:last] = [""] * (last - first)
            if kept:
                lines[first] = f"from {statement.module} import {', '.join(kept)}"


def _used(tree: ast.Module) -> set[str]:
    """Return the names that are looked up when the module runs."""
    annotations: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation:
            annotations.update(map(id, ast.walk(node.annotation)))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns:
            annotations.update(map(id, ast.walk(node.returns)))
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return {node.id for node in names if id(node) not in annotations}


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
