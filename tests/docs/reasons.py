"""The reasons that conditions, failures and Events may show, read from the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from devenv.checkout import ROOT

GARRISON = ROOT / "operator" / "garrison"
_CAMEL = re.compile(r"^[A-Z][a-z]+([A-Z][A-Za-z]*)?$")
_BEFORE = {"True", "False", "Unknown", "Normal", "Warning"}
"""A condition's status or an Event's type stands right before the reason."""
_FAILING = {"failed", "_fail"}


def reasons() -> frozenset[str]:
    """Return every reason that ``core``, ``controllers`` and the exception tree can show."""
    files = [GARRISON / "errors.py"]
    files += sorted((GARRISON / "core").glob("*.py")) + sorted(
        (GARRISON / "controllers").glob("*.py")
    )
    return frozenset().union(*(reasons_in(file) for file in files))


def reasons_in(file: Path) -> frozenset[str]:
    """Return the reasons that one module names."""
    return frozenset(
        text
        for node in ast.walk(ast.parse(file.read_text()))
        for text in _named(node)
        if _CAMEL.match(text)
    )


def _named(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.keyword(arg="reason", value=value):
            yield from _texts(value)
        case ast.ClassDef(body=body):
            for each in body:
                if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "reason":
                    yield from _texts(each.value)
        case ast.Call(func=ast.Name(id=name), args=[_, ast.Constant(value=str(text)), *_]) if (
            name in _FAILING
        ):
            yield text
        case ast.Call(args=args):
            yield from _after(args)
        case ast.Tuple(elts=elements):
            yield from _after(elements)
        case _:
            pass


def _after(nodes: Sequence[ast.expr]) -> Iterator[str]:
    """Yield the texts that follow a status."""
    for before, after in pairwise(nodes):
        if isinstance(before, ast.Constant) and before.value in _BEFORE:
            yield from _texts(after)


def _texts(node: ast.expr) -> Iterator[str]:
    """Yield the constants that an expression may come to."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body)
            yield from _texts(orelse)
        case _:
            pass
