"""The package can be taken out of the operator: it imports nothing else of it.

The contract in pyproject.toml names the rooms; this covers the neighbours, whichever there are.
"""

from __future__ import annotations

import ast
from pathlib import Path

import garrison.adapters.akash.sdl as package


def imported(file: Path) -> set[str]:
    """Return the modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(node.module or "")
    return found


def test_it_imports_nothing_of_the_operator() -> None:
    files = sorted(Path(package.__path__[0]).glob("*.py"))
    ours = {name for file in files for name in imported(file) if name.startswith("garrison")}
    assert ours
    assert all(f"{name}.".startswith(f"{package.__name__}.") for name in ours)
