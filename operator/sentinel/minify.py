"""Python source that does the same in fewer bytes, for the sentinel's zipapp.

Without comments, docstrings, annotations of functions and what only those import; one space for each
level and none between operators; short local and private names. Every statement keeps its line, for
tracebacks, and the same source gives the same text on every Python.
"""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import re
import tokenize
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import product
from string import ascii_letters
from typing import Tuple, Union  # noqa: UP035 -- evaluated at run time on Python 3.9

_INDENT = 4
_FOR_ANNOTATIONS = ("collections.abc", "types", "typing")
_LAYOUT = (tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE, tokenize.NL)
_FSTRING_START = getattr(tokenize, "FSTRING_START", -1)  # from Python 3.12 on
_FSTRING_END = getattr(tokenize, "FSTRING_END", -1)
_WORD = re.compile(r"[\w\"'.]")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_PRIVATE = re.compile(r"(?<![\w}])_[A-Za-z]\w+(?<!_)\b")
_FOREIGN = {"_asdict", "_exit", "_fields", "_make", "_replace"}  # also names of Python's own
_RESERVED = {*dir(builtins), *keyword.kwlist, "self", "cls"}
_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_Place = Tuple[int, int]  # noqa: UP006


def bare(source: str) -> str:
    """Return Python source that does the same, in fewer bytes; every statement on its line."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    lines = source.splitlines()
    quoted: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
        elif token.start[0] != token.end[0] and token.string.strip():
            quoted.update(range(token.start[0], token.end[0]))
    for begin, end in sorted(_annotations(nodes, lines), reverse=True):
        _cut(lines, begin, end)
    _blank_texts(nodes, lines)
    _thin_imports(tree, _used(nodes), lines)
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


def _annotations(nodes: Sequence[ast.AST], lines: list[str]) -> set[tuple[_Place, _Place]]:
    """Return where annotations of functions and inside them are: nothing reads those."""
    found = set()
    within: set[int] = set()
    for function in [node for node in nodes if isinstance(node, _FUNCTIONS)]:
        within.update(range(function.lineno, (function.end_lineno or function.lineno) + 1))
        if function.returns:
            row, column = function.returns.lineno, function.returns.col_offset
            arrow = lines[row - 1].rindex("->", 0, column)
            begin = len(lines[row - 1][:arrow].rstrip())
            found.add(((row, begin), _end(function.returns)))
        for argument in _arguments(function):
            if argument.annotation:
                begin = argument.col_offset + len(argument.arg)
                found.add(((argument.lineno, begin), _end(argument.annotation)))
    for node in nodes:
        if isinstance(node, ast.AnnAssign) and node.value and node.lineno in within:
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


def _blank_texts(nodes: Sequence[ast.AST], lines: list[str]) -> None:
    """Blank docstrings, and the texts that stand after what they explain."""
    for node in nodes:
        if not isinstance(node, _DOCUMENTED):
            continue
        for statement in node.body:
            if _is_text(statement):
                first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
                lines[first:last] = [""] * (last - first)
                if len(node.body) == 1:
                    lines[first] = " " * statement.col_offset + "pass"


def _thin_imports(tree: ast.Module, used: Collection[str], lines: list[str]) -> None:
    """Leave out imported names that only annotations use."""
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module in _FOR_ANNOTATIONS:
            kept = [each.name for each in statement.names if each.name in used]
            first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
            lines[first:last] = [""] * (last - first)
            if kept:
                lines[first] = f"from {statement.module} import {', '.join(kept)}"


def _used(nodes: Sequence[ast.AST]) -> set[str]:
    """Return the names that are looked up when the module runs."""
    annotations: set[int] = set()
    for node in nodes:
        if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation:
            annotations.update(map(id, ast.walk(node.annotation)))
        elif isinstance(node, _FUNCTIONS) and node.returns:
            annotations.update(map(id, ast.walk(node.returns)))
    names = (node for node in nodes if isinstance(node, ast.Name))
    return {node.id for node in names if id(node) not in annotations}


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


# -- names


def _short_names(taken: Collection[str], prefix: str = "") -> Iterator[str]:
    for length in (1, 2):
        for letters in product(ascii_letters, repeat=length):
            name = prefix + "".join(letters)
            if name not in taken:
                yield name


def with_short_private_names(sources: Sequence[str]) -> list[str]:
    """Shorten the private names that the sources themselves define, the same in all of them.

    A name that is also a part of a text stays: the text is for others. A text that is the whole name
    follows it, as in ``__slots__``.
    """
    defined: set[str] = set()
    shown: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            shown.update(_shown(node))
            defined.update(_defined(node))
    counts = Counter(name for source in sources for name in _PRIVATE.findall(source))
    private = [name for name in counts if name in defined - shown - _FOREIGN]
    private.sort(key=lambda name: (-counts[name], name))
    taken = set(re.findall(r"\b_\w{1,2}\b", "\n".join(sources)))
    short = dict(zip(private, _short_names(taken, "_")))
    return [_PRIVATE.sub(lambda found: short.get(found[0], found[0]), each) for each in sources]


def _defined(node: ast.AST) -> list[str]:
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        return [node.attr]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    return []


def _shown(node: ast.AST) -> list[str]:
    """Return what looks like a private name within a text."""
    if isinstance(node, ast.JoinedStr):
        texts = [each.value for each in node.values if isinstance(each, ast.Constant)]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        texts = [] if _PRIVATE.fullmatch(node.value) else [node.value]
    else:
        texts = []
    return [name for text in texts for name in _PRIVATE.findall(str(text))]


def keywords(tree: ast.Module) -> set[str]:
    """Return the names by which arguments are given somewhere."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.keyword))
    return {node.arg for node in calls if node.arg}


def with_short_locals(source: str, tree: ast.Module, kept: Collection[str]) -> str:
    """Shorten parameters and local names of functions, but for the names ``kept``.

    ``tree`` is what ``source`` is parsed to.
    """
    functions, outer = _parted(tree)
    places: dict[_Place, tuple[str, str]] = {}
    for nodes in functions:
        named = _places_of_names(nodes)
        local = _locals(nodes) - outer - set(kept)
        fresh = _short_names(outer | set(named.values()))
        short: dict[str, str] = {}
        for place, name in sorted(named.items()):
            if name in local and len(name) > 1:
                short[name] = short.get(name) or next(fresh)
                places[place] = name, short[name]
    lines = source.split("\n")
    for (row, column), (name, replacement) in sorted(places.items(), reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + replacement + line[column + len(name) :]
    return "\n".join(lines)


def _parted(tree: ast.Module) -> tuple[list[list[ast.AST]], set[str]]:
    """Return the nodes of each outermost function without classes, and all names around them."""
    functions, outer = [], set(_RESERVED)
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        outer.update(_defined(node))
        within = list(ast.walk(node)) if isinstance(node, _FUNCTIONS) else []
        if not within or any(isinstance(each, ast.ClassDef) for each in within):
            outer.update(_imported([node]))
            waiting.extend(ast.iter_child_nodes(node))
        else:
            outer.update(_imported(within))
            functions.append(within)
    return functions, outer


def _imported(nodes: Sequence[ast.AST]) -> set[str]:
    aliases = [node for node in nodes if isinstance(node, ast.alias)]
    return {(each.asname or each.name).partition(".")[0] for each in aliases}


def _places_of_names(nodes: Sequence[ast.AST]) -> dict[_Place, str]:
    places = {}
    for node in nodes:
        if isinstance(node, ast.Name):
            places[node.lineno, node.col_offset] = node.id
        elif isinstance(node, ast.arg):
            places[node.lineno, node.col_offset] = node.arg
    return places


def _locals(nodes: Sequence[ast.AST]) -> set[str]:
    """Return local names; not those within f-strings, whose places differ between Pythons."""
    local: set[str] = set()
    fixed: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            local.add(node.id)
        elif isinstance(node, ast.arg):
            local.add(node.arg)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            fixed.update(node.names)
        elif isinstance(node, (ast.ExceptHandler, *_FUNCTIONS)) and node.name:
            fixed.add(node.name)
        elif isinstance(node, ast.JoinedStr):
            fixed.update(each.id for each in ast.walk(node) if isinstance(each, ast.Name))
    return local - fixed
