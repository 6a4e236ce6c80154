"""Starting afresh in the same process: sealed, another instance, with another first policy.

A guard's mode and rung are chosen before any thread exists, and cannot be changed later. So a policy
that needs others is taken by executing the program again. That reads Python from the image's disk,
so it is only for a container in which no workload has run: another one ends, to be restarted.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import Any, Sequence  # noqa: UP035 -- evaluated at run time on Python 3.9

from sentinel.agent import loader


def afresh(given: dict[str, Any], spec: Any, options: Sequence[str]) -> None:
    """Execute the program again with ``spec`` as the bootstrap's policy. Raises OSError."""
    archive = getattr(sys.modules["sentinel"].__loader__, "archive", "")
    env = {**os.environ, loader.BOOTSTRAP: _encoded(given, spec)}
    argv = [sys.executable, "-I", "-S", *_program(archive), "run", *options]
    os.execve(sys.executable, argv, env)  # noqa: S606 -- that is the purpose


def _encoded(given: dict[str, Any], spec: Any) -> str:
    fresh = {**given, "egress": {"version": 0, "spec": spec}}
    return base64.b64encode(json.dumps(fresh).encode()).decode()


def _program(archive: str) -> list[str]:
    """Return how Python is told what to run: the archive, in memory or on a disk, or the folder."""
    if archive.startswith("/proc/self/fd/"):
        os.set_inheritable(int(archive.rpartition("/")[2]), True)
    if archive:
        return [archive]
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [
        "-c",
        f"import sys; sys.path.insert(0, {root!r}); from sentinel.__main__ import main;"
        " sys.exit(main(sys.argv[1:]))",
    ]
