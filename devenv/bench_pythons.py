"""The Pythons by which benchmarks of the sentinel run it, side by side.

A container brings its own, in an optimised build. This machine's may be neither, so there is a
CPython 3.14 that is the same everywhere beside it, and the system's where that is another one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from devenv.bench_processes import interruptible
from devenv.errors import DevenvError
from devenv.pythons import NEWEST, ensure_newest

_SYSTEM = Path("/usr/bin/python3")
_OLDEST = (3, 9)
_ASK = """
import json, sys, sysconfig
arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
version = ".".join(map(str, sys.version_info[:3]))
print(json.dumps([version, "--enable-optimizations" in arguments]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """``version`` is as in 3.14.6.

    ``optimised``: its configuration says so. Debian's does not, and is optimised nevertheless.
    """

    path: Path
    version: str
    optimised: bool

    def __str__(self) -> str:
        return f"{self.version}, optimised" if self.optimised else self.version


def compared() -> list[Interpreter]:
    """Return this machine's own, the system's, and CPython 3.14; who cannot be had is named."""
    found = [interpreter(path) for path in _paths()]
    return [
        each
        for each in found
        if tuple(int(number) for number in each.version.split(".")) >= _OLDEST
    ]


def _paths() -> list[Path]:
    paths = [Path(sys.executable)]
    if _SYSTEM.exists() and _SYSTEM.resolve() != paths[0].resolve():
        paths.append(_SYSTEM)
    try:
        paths.append(asyncio.run(ensure_newest()))
    except DevenvError as error:
        sys.stderr.write(f"without CPython {NEWEST}: {error}\n")
    return paths


def interpreter(path: Path) -> Interpreter:
    """Return what a Python says of itself; raises SystemExit where it does not run."""
    asked = [str(path), "-I", "-S", "-c", _ASK]
    try:
        done = subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True)
        version, optimised = json.loads(done.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        sys.exit(f"{path} is no Python that runs here: {error}")
    return Interpreter(path=path, version=str(version), optimised=bool(optimised))


def begin_with_pythons(module: str, text: str | None) -> list[Interpreter]:
    """Read a benchmark's command line, and print and return the Pythons that it measures by.

    SIGTERM is Ctrl-C from here on, as with ``begin``.
    """
    given: list[Path] | None = _parser(module, text).parse_args().python
    interruptible()
    found = [interpreter(path) for path in given] if given else compared()
    for each in found:
        print(f"Python {each}: {each.path}")
    return found


def _parser(module: str, text: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--python",
        action="append",
        type=Path,
        metavar="PATH",
        help="a Python to run the sentinel by; may be repeated. Default: the one that runs this "
        f"benchmark, the system's, and an optimised CPython {NEWEST}, which is fetched once",
    )
    return parser
