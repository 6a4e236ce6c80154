"""The virtual environment with what pyproject.toml asks for; runs on a bare Python 3.11 or newer.

::

    python3 -m devenv.venv path    print where it is or will be
    python3 -m devenv.venv make    make it unless it is there, then print where it is

The checkout itself is not installed: commands run with it on PYTHONPATH, so that checkouts with
equal dependencies share one environment.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
import tomllib
from pathlib import Path

from devenv.cache import cache_home, cache_key
from devenv.checkout import ROOT
from devenv.command import output_of
from devenv.errors import DevenvError
from devenv.lock import locked
from devenv.steps import Say, step, to_stderr

_CREATE_SECONDS = 120
_INSTALL_SECONDS = 1200


def requirements(pyproject: Path) -> list[str]:
    """Return the project's dependencies and those of its extra ``dev``."""
    project = tomllib.loads(pyproject.read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["dev"]]


def venv_path(wanted: list[str]) -> Path:
    """Return the environment's folder for these dependencies and this Python."""
    parts = (sys.version, sys.base_prefix, *wanted)
    return cache_home() / f"venv-{cache_key(part.encode() for part in parts)}"


async def make(*, say: Say = to_stderr) -> Path:
    """Return the project's environment, made when missing. Raises DevenvError when pip fails."""
    wanted = requirements(ROOT / "pyproject.toml")
    return await environment(wanted, why="no complete one there yet", say=say)


async def environment(
    wanted: list[str], *, why: str, whole: bool = False, say: Say = to_stderr
) -> Path:
    """Return the folder of an environment with ``wanted``, made when missing.

    ``whole``: the list names everything, so that pip adds nothing. Raises DevenvError when pip fails.
    """
    folder = venv_path(wanted)
    complete = folder / "complete"
    async with locked(folder.with_suffix(".lock")):
        if not complete.exists():
            with step(f"Make the Python environment {folder}", why, say):
                await _fill(folder, [*(["--no-deps"] if whole else []), *wanted])
            complete.touch()
    return folder


async def _fill(folder: Path, wanted: list[str]) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        raise DevenvError(
            f"{sys.executable} cannot make virtual environments; on Debian: apt-get install python3-venv"
        )
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    create = (sys.executable, "-m", "venv", str(folder))
    await output_of(create, limit_seconds=_CREATE_SECONDS)
    install = (str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet")
    await output_of(
        (*install, "--disable-pip-version-check", *wanted), limit_seconds=_INSTALL_SECONDS
    )


def _main() -> None:
    match sys.argv[1:]:
        case ["path"]:
            print(venv_path(requirements(ROOT / "pyproject.toml")))
        case ["make"]:
            print(asyncio.run(make()))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        _main()
    except DevenvError as failure:
        sys.exit(str(failure))
