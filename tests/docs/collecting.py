"""``python -m tests.docs.collecting ID…``: prints which tests pytest collects, as JSON.

By name without parameters: whether it is run, here or on a machine that has what it needs.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import json
import sys
import textwrap

import pytest


class Collected:
    """Keeps what pytest would run; ``runs`` says of each name whether any of its cases does."""

    def __init__(self) -> None:
        self.runs: dict[str, bool] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            assert isinstance(item, pytest.Function)
            name = item.nodeid.partition("[")[0]
            self.runs[name] = self.runs.get(name, False) or not _is_idle(item)


def _is_idle(item: pytest.Function) -> bool:
    """Whether a test is skipped or let fail on every machine."""
    marked = {each.name for each in item.iter_markers()}
    if marked & {"skip", "xfail"}:
        return True
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(item.function))).body
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return not body or ast.unparse(body[0]).startswith(("pytest.skip(", "pytest.xfail(", "pass"))


def main(ids: list[str]) -> int:
    collected = Collected()
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        status = pytest.main(
            ["--collect-only", "-q", "-p", "no:cacheprovider", *ids], plugins=[collected]
        )
    if status != pytest.ExitCode.OK:
        sys.stderr.write(told.getvalue())
        return int(status)
    sys.stdout.write(json.dumps(collected.runs))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
