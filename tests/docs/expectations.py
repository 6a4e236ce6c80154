"""The words that tests expect where they look at a reason, read from the tests' code.

A word counts where it is compared with something that speaks of a reason: written there, or in a
table, a parametrized column or an argument that comes there. A word in an input does not.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from devenv.checkout import ROOT

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_SPEAKS = re.compile(r"reason|condition|failure|refusal|routing|event|told|note|says")
_BESIDE = {"type", "status", "message", "phase", "blame"}
"""What stands beside a reason."""
_CONTAINERS = {"set", "frozenset", "sorted", "list", "tuple", "dict"}
_ROUNDS = 4
"""An argument is handed on from helper to helper no more often than this."""


@dataclass(frozen=True, slots=True)
class Argument:
    """Where a function takes a word that it compares; ``position`` is None for a keyword only."""

    name: str
    position: int | None


def expected_words(paths: Iterable[Path]) -> frozenset[str]:
    """Return every text that the modules compare with a reason."""
    scopes = [scope for path in paths for scope in scopes_of(path)]
    taking: dict[str, set[Argument]] = defaultdict(set)
    found: set[str] = set()
    for _ in range(_ROUNDS):
        for scope in scopes:
            handed = (value for call in scope.calls for value in _handed(call, taking))
            for value in (*scope.compared, *handed):
                found |= scope.words(value, taking)
    return frozenset(found)


def scopes_of(path: Path) -> Iterator[Scope]:
    """Yield the functions and methods of a module, nested ones inside theirs."""
    module = Module(ast.parse(path.read_text()))
    for node in module.tree.body:
        if isinstance(node, Function):
            yield Scope(module, node)
        elif isinstance(node, ast.ClassDef):
            yield from (Scope(module, each, 1) for each in node.body if isinstance(each, Function))


@dataclass(frozen=True)
class Module:
    """A module's tables, and those that it imports from other tests."""

    tree: ast.Module

    @cached_property
    def tables(self) -> Mapping[str, ast.expr]:
        """The values of the names at the top."""
        found: dict[str, ast.expr] = {}
        for node in self.tree.body:
            match node:
                case ast.ImportFrom(module=str(name)) if name.startswith("tests."):
                    theirs = _module(name).tables
                    found |= {
                        each.name: theirs[each.name] for each in node.names if each.name in theirs
                    }
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    found[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    found[name] = value
                case _:
                    pass
        return found


def _module(name: str) -> Module:
    path = ROOT.joinpath(*name.split("."))
    file = path.with_suffix(".py")
    return Module(ast.parse(file.read_text() if file.exists() else ""))


@dataclass(frozen=True)
class Scope:
    """A function with its local names; ``bound`` is 1 for a method, whose calls leave out ``self``."""

    module: Module
    function: Function
    bound: int = 0
    _seen: set[str] = field(default_factory=set)

    @cached_property
    def locals(self) -> Mapping[str, list[ast.expr]]:
        """What each name is made from; a loop's names from what it runs over."""
        found: dict[str, list[ast.expr]] = defaultdict(list)
        for node in ast.walk(self.function):
            match node:
                case ast.Assign(targets=targets, value=value):
                    made = [(target, value) for target in targets]
                case (
                    ast.For(target=target, iter=value)
                    | ast.comprehension(target=target, iter=value)
                ):
                    made = [(target, value)]
                case _:
                    continue
            for target, value in made:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        found[name.id].append(value)
        return found

    @cached_property
    def columns(self) -> Mapping[str, list[ast.expr]]:
        """The cells of each parametrized argument."""
        found: dict[str, list[ast.expr]] = defaultdict(list)
        for decorator in self.function.decorator_list:
            match decorator:
                case ast.Call(func=ast.Attribute(attr="parametrize"), args=[names, rows, *_]):
                    keys = _names(names)
                    for row in self._rows(rows):
                        cells = _cells(row) if len(keys) > 1 else [row]
                        for key, cell in zip(keys, cells, strict=False):
                            found[key].append(cell)
                case _:
                    pass
        return found

    def _rows(self, node: ast.expr) -> list[ast.expr]:
        match node:
            case ast.Name(id=name):
                known = self.module.tables.get(name)
                return [] if known is None else self._rows(known)
            case ast.Dict(keys=keys):
                return [each for each in keys if each is not None]
            case ast.Starred(value=value):
                return self._rows(value)
            case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
                return [
                    row
                    for each in elements
                    for row in (self._rows(each) if isinstance(each, ast.Starred) else [each])
                ]
            case _:
                return []

    @cached_property
    def calls(self) -> list[ast.Call]:
        return [each for each in ast.walk(self.function) if isinstance(each, ast.Call)]

    @cached_property
    def compared(self) -> list[ast.expr]:
        """What is compared with a reason in here."""
        found = [each for each in ast.walk(self.function) if isinstance(each, ast.Compare)]
        sides = [pair for each in found for pair in pairwise([each.left, *each.comparators])]
        return [value for one, other in sides for value in self._against(one, other)]

    def _against(self, one: ast.expr, other: ast.expr) -> Iterator[ast.expr]:
        if isinstance(one, ast.Tuple) and isinstance(other, ast.Tuple):
            for each, its in zip(one.elts, other.elts, strict=False):
                yield from self._against(each, its)
            return
        if self._speaks(one):
            yield other
        if self._speaks(other):
            yield one

    def _speaks(self, node: ast.expr) -> bool:
        """Tell whether an expression, or what its names are made from, is about a reason."""
        match node:
            case ast.Attribute(attr=attr):
                return _SPEAKS.search(attr) is not None
            case ast.Subscript(slice=ast.Constant(value=str(key))) if key in _BESIDE:
                return False
            case _:
                pass
        made = [
            value
            for each in ast.walk(node)
            if isinstance(each, ast.Name)
            for value in self.locals.get(each.id, ())
        ]
        return any(_SPEAKS.search(ast.unparse(each)) for each in (node, *made))

    def words(self, node: ast.expr, taking: dict[str, set[Argument]]) -> set[str]:
        """Return the texts that an expression may come to; an argument is noted in ``taking``."""
        match node:
            case ast.Constant(value=str(text)):
                return {text}
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                return self._all(parts, taking)
            case ast.Dict(values=parts):
                return self._all(parts, taking)
            case ast.IfExp(body=body, orelse=orelse):
                return self._all((body, orelse), taking)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                if name in _CONTAINERS:
                    return self._all(args, taking)
                said = [each.value for each in keywords if each.arg == "reason"]
                return self._all(said, taking) if name[:1].isupper() else set()
            case ast.Call(func=ast.Attribute(value=value, attr="items" | "values")):
                return self.words(value, taking)
            case ast.Name(id=name):
                return self._named(name, taking)
            case ast.Attribute(value=ast.Name(id=name), attr=attr):
                rows = self.columns.get(name, ())
                return self._all((cell for row in rows for cell in _field(row, attr)), taking)
            case _:
                return set()

    def _all(self, nodes: Iterable[ast.expr], taking: dict[str, set[Argument]]) -> set[str]:
        return {word for each in nodes for word in self.words(each, taking)}

    def _named(self, name: str, taking: dict[str, set[Argument]]) -> set[str]:
        if name in self._seen:  # a name that is made from itself
            return set()
        self._seen.add(name)
        try:
            self._note(name, taking)
            made = [*self.columns.get(name, ()), *self.locals.get(name, ())]
            if not made and name in self.module.tables:
                made = [self.module.tables[name]]
            return self._all(made, taking)
        finally:
            self._seen.discard(name)

    def _note(self, name: str, taking: dict[str, set[Argument]]) -> None:
        given = self.function.args
        places = [each.arg for each in (*given.posonlyargs, *given.args)]
        if name in places:
            taking[self.function.name].add(Argument(name, places.index(name) - self.bound))
        elif name in [each.arg for each in given.kwonlyargs]:
            taking[self.function.name].add(Argument(name, None))


def _handed(call: ast.Call, taking: Mapping[str, set[Argument]]) -> Iterator[ast.expr]:
    """Yield what a call hands to arguments that are compared with a reason."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            wanted = taking.get(name, set())
        case _:
            return
    for each in list(wanted):
        yield from (given.value for given in call.keywords if given.arg == each.name)
        if each.position is not None and each.position < len(call.args):
            yield call.args[each.position]


def _names(node: ast.expr) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [each.strip() for each in text.split(",")]
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [str(each.value) for each in parts if isinstance(each, ast.Constant)]
        case _:
            return []


def _cells(row: ast.expr) -> list[ast.expr]:
    match row:
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return parts
        case ast.Call(func=ast.Attribute(attr="param"), args=args):
            return args
        case _:
            return []


def _field(row: ast.expr, name: str) -> Iterator[ast.expr]:
    """Yield what a row that is made by a call has in a field."""
    if isinstance(row, ast.Call):
        yield from (each.value for each in row.keywords if each.arg == name)
