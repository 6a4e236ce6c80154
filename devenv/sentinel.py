"""``make sentinel``: the sentinel as one file that any Python from 3.9 runs.

The same sources give the same bytes, on any machine with the same zlib: names sorted, one
timestamp, fixed attributes. Comments and docstrings are blanked, line by line: it has to fit into an
environment variable, and tracebacks keep their line numbers.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import sys
import tokenize
import zipfile
import zlib
from pathlib import Path

from devenv.checkout import ROOT

SOURCES = ROOT / "operator" / "sentinel"
TARGET = ROOT / "dist" / "sentinel.pyz"
GOAL_BYTES = 64 * 1024
_SHEBANG = b"#!/usr/bin/env python3\n"
_ENTRY = """\
import json, sys
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
data = __loader__.get_data(archive + "/modules.json")
sys.meta_path.insert(0, Modules(archive, json.loads(data)))
from sentinel.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_UNIX = 3
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def zipapp(sources: Path = SOURCES) -> bytes:
    """Return the package of ``sources`` as an executable zip archive (PEP 441).

    All modules are one member, because apart they take a quarter more.
    """
    buffer = io.BytesIO()
    buffer.write(_SHEBANG)
    with zipfile.ZipFile(buffer, "a") as archive:
        _add(archive, "__main__.py", _ENTRY.encode())
        _add(archive, "modules.json", _modules(sources, sources))
    return buffer.getvalue()


def _modules(sources: Path, folder: Path) -> bytes:
    """Return the modules below ``folder``: path in the package's parent to bare source."""
    found = {
        str(path.relative_to(sources.parent)): bare(path.read_text())
        for path in sorted(folder.rglob("*.py"))
    }
    return json.dumps(found, separators=(",", ":")).encode()


def bare(source: str) -> str:
    """Return Python source without comments and docstrings, every statement on its old line."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    for body in (
        node.body for node in ast.walk(ast.parse(source)) if isinstance(node, _DOCUMENTED)
    ):
        for statement in body:
            if _is_text(statement):
                first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
                lines[first:last] = [""] * (last - first)
                if len(body) == 1:
                    lines[first] = " " * statement.col_offset + "pass"
    return "\n".join(lines) + "\n"


def _is_text(statement: ast.stmt) -> bool:
    """Return whether a statement is a string and nothing else."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.external_attr = _REGULAR_FILE
    entry.create_system = _UNIX
    archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)


def part_size(folder: str, sources: Path = SOURCES) -> int:
    """Return how many bytes one folder of the package takes, compressed."""
    return len(zlib.compress(_modules(sources, sources / folder), 9))


def write(target: Path = TARGET) -> Path:
    """Write the zipapp, executable, in one step; returns its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{target.name}.new")
    temporary.write_bytes(zipapp())
    temporary.chmod(0o755)
    temporary.replace(target)
    return target


def main() -> None:
    content = write().read_bytes()
    shown = TARGET.relative_to(ROOT)
    print(f"{shown}: {len(content)} bytes (goal {GOAL_BYTES}), guard {part_size('guard')}")
    print(f"sha256:{hashlib.sha256(content).hexdigest()}")
    if len(content) > GOAL_BYTES:
        sys.exit(f"{shown} is larger than the goal of {GOAL_BYTES} bytes")


if __name__ == "__main__":
    main()
