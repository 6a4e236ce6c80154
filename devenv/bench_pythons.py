"""The Pythons by which benchmarks of the sentinel run it, side by side.

A container brings its own, in an optimised build. This machine's may be neither, so there is a
CPython 3.14 that is the same everywhere beside it, and the system's where that is another one.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from devenv.errors import DevenvError
from devenv.pythons import ensure_newest

_SYSTEM = Path("/usr/bin/python3")
_OLDEST = (3, 9)
_ASK = "import sys; print(*sys.version_info[:3], sep='.')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """``version`` is as in 3.14.6."""

    path: Path
    version: str


def compared() -> list[Interpreter]:
    """Return this machine's own, the system's, and CPython 3.14; who cannot be had is named."""
    found = {path: version_of(path) for path in _paths()}
    return [
        Interpreter(path=path, version=version)
        for path, version in found.items()
        if tuple(int(each) for each in version.split(".")) >= _OLDEST
    ]


def _paths() -> list[Path]:
    paths = [Path(sys.executable)]
    if _SYSTEM.exists() and _SYSTEM.resolve() != paths[0].resolve():
        paths.append(_SYSTEM)
    try:
        paths.append(asyncio.run(ensure_newest()))
    except DevenvError as error:
        sys.stderr.write(f"without CPython 3.14: {error}\n")
    return paths


def version_of(python: Path) -> str:
    """Return the version of an interpreter, as in 3.14.6."""
    asked = [str(python), "-I", "-S", "-c", _ASK]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
