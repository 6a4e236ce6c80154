"""One file, small, the same every time, and readable by the oldest Python that images carry."""

from __future__ import annotations

import ast
import functools
import io
import subprocess
import sys
import typing
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from devenv.sentinel import SOURCES, write
from sentinel import hints
from sentinel.minify import bare, keywords, with_short_locals
from sentinel.packed import packed
from sentinel.packing import GOAL_BYTES, zipapp
from tests.sentinel.pythons import OTHERS, python_or_skip

OLDEST = (3, 9)
FILES = sorted(SOURCES.rglob("*.py"))


@functools.cache
def _archive() -> bytes:
    return zipapp()


def test_the_same_sources_give_the_same_bytes() -> None:
    assert zipapp() == _archive()


@pytest.mark.long
@pytest.mark.parametrize("version", OTHERS)
def test_every_python_makes_the_same_bytes(version: str) -> None:
    """Leases keep the digest of what runs in them; an operator on another Python must not differ."""
    program = "import sys; from sentinel.packing import zipapp; sys.stdout.buffer.write(zipapp())"
    command = [python_or_skip(version), "-c", program]
    made = subprocess.run(command, cwd=SOURCES.parent, capture_output=True, check=True).stdout
    assert made == _archive()


def test_what_an_earlier_process_made_is_the_same() -> None:
    assert packed() == _archive()


def test_it_is_small_enough_for_an_environment_variable() -> None:
    assert len(_archive()) <= GOAL_BYTES


def test_it_teaches(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", str(write(tmp_path / "sentinel.pyz")), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "guard" in shown
    assert "probe" in shown


@functools.cache
def _packed() -> dict[str, str]:
    """Return the modules as the zipapp's own entry finds them."""
    with zipfile.ZipFile(io.BytesIO(_archive())) as archive:
        words, coded = archive.read("modules").split(b"\1")
    table = [*map(chr, range(128)), *words.decode().split("\0")]
    parts = "".join(table[code] for code in coded).split("\0")
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_names_within_texts_stay_as_they_are() -> None:
    """A family of metrics that ends in ``_count`` must not be renamed with a field of that name."""
    text = _packed()["sentinel/agent/metrics.py"]
    assert "_count = 0" in (SOURCES / "agent" / "metrics.py").read_text()
    for suffix in ("_count", "_sum", "_bucket"):
        assert f'f"{{name}}{suffix}"' in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_the_oldest_grammar_reads_it(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=OLDEST)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_only_the_standard_library_is_imported(path: Path) -> None:
    names = [
        name
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    ]
    roots = {name.partition(".")[0] for name in names}
    assert roots <= sys.stdlib_module_names | {"sentinel"}


def test_nothing_of_typing_runs() -> None:
    """It would take a megabyte; what stands in for it has all that is asked of it."""
    asked = {
        (node.module, alias.name)
        for text in _packed().values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert not [name for module, name in asked if module == "typing"]
    assert {name for module, name in asked if module == "sentinel.hints"} <= {*dir(hints)}


RECORD = """
class Record(NamedTuple):
    name: str
    ports: List[int]
    level: Optional[str] = None
    limits: Tuple[str, ...] = ()

    def __repr__(self):
        return f"Record({self.name!r})"

    @property
    def first(self):
        return self.ports[0]

    @classmethod
    def of(cls, name):
        return cls(name, [443])
"""


@pytest.mark.parametrize("kind", [typing, hints])
def test_named_tuples_are_the_same(kind: ModuleType) -> None:
    names: dict[str, Any] = {**vars(kind), "__name__": "records"}
    exec(RECORD, names)
    record = names["Record"]
    given = record("a", [80, 443], limits=("none",))
    assert given == ("a", [80, 443], None, ("none",))
    assert record._fields == ("name", "ports", "level", "limits")
    assert (repr(given), given.first, record.of("b").ports) == ("Record('a')", 80, [443])
    assert given._replace(level="x").level == "x"
    assert (record.__module__, record.__qualname__) == ("records", "Record")
    with pytest.raises(TypeError, match="ports"):
        record("a")
    with pytest.raises(AttributeError):
        given.name = "b"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_bare_sources_keep_their_lines(path: Path) -> None:
    assert _places(ast.parse(bare(path.read_text()))) == _places(ast.parse(path.read_text()))


def _places(tree: ast.Module) -> set[tuple[str, int]]:
    """Return where functions, classes, calls and raises are."""
    kinds = ast.FunctionDef, ast.ClassDef, ast.Call, ast.Raise, ast.Return
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return {(type(node).__name__, node.lineno) for node in nodes}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_short_names_change_no_statement(path: Path) -> None:
    """But for names, the tree is the same: calls, attributes of others, keywords, texts."""
    source = bare(path.read_text())
    tree = ast.parse(source)
    short = with_short_locals(source, tree, keywords(tree))
    assert _nameless(ast.parse(short)) == _nameless(tree)


def _nameless(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = ""
        elif isinstance(node, ast.arg):
            node.arg = ""
    return ast.dump(tree)


HARD = """
from os import path as places
width = 3
class Box:
    height = 4
    def area(self, given, *, factor=1, height=height):
        total = sum(given * height for given in range(given))
        def add(amount):
            nonlocal total
            total += amount * width * factor
            return total
        try:
            return [add(amount) for amount in (1, 2)], f"{total!r}", places.join("a", str(given))
        except ValueError as error:
            return error
def swap(first, second, width=width):
    first, second = second, first
    return lambda third: (first, second, third, width)
result = Box().area(5, factor=2), swap(1, 2)(3)
"""


def test_short_names_mean_the_same() -> None:
    tree = ast.parse(HARD)
    short = with_short_locals(HARD, tree, keywords(tree))
    assert "amount" not in short
    assert "factor" in short
    assert len(short) < len(HARD)
    plain: dict[str, object] = {}
    shortened: dict[str, object] = {}
    exec(HARD, plain)
    exec(short, shortened)
    assert shortened["result"] == plain["result"]


def test_packing_changes_no_text() -> None:
    """Private names are shortened; a text that looks like one, as in a metric's name, must not be."""
    packed = _packed()
    for path in FILES:
        name = str(path.relative_to(SOURCES.parent))
        if path.name not in ("packed.py", "packing.py", "minify.py"):
            assert _texts(packed[name]) == _texts(bare(path.read_text())), name


def _texts(source: str) -> list[str]:
    """Return every text of a module but for the names in ``__slots__``."""
    tree = ast.parse(source)
    slots = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__"
        for part in ast.walk(node)
    }
    nodes = [node for node in ast.walk(tree) if id(node) not in slots]
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
