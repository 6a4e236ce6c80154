"""Pythons for the sentinel: this machine's own, and CPython 3.14, fetched once where it is wanted.

The fetched one is python-build-standalone's, optimised as those that images carry are. A Go module
embeds it, so Go's client fetches it, and its checksum is pinned here.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devenv.arguments import no_arguments
from devenv.cache import cache_folder
from devenv.command import output_of
from devenv.errors import DevenvError
from devenv.lock import locked
from devenv.steps import Say, step, to_stderr

NEWEST = "3.14"
_MODULE = "github.com/kluctl/go-embed-python@v0.0.0-3.14.6-20260610-1"
_SUM = "h1:oGUS7++Wm3LgxUfD6AmJgKbKQD2wdQFO9PzyJv6T+E4="
_DATA = Path("python", "internal", "data")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_DOWNLOAD_SECONDS = 900
_COMPILE_SECONDS = 300
_REMEDY = f"; or install Python {NEWEST}"


def installed(version: str) -> Path | None:
    """Return the machine's own ``version`` ("3.12"): pyenv's newest, else the one on the PATH."""
    root = Path(os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv")))
    found = [*(root / "versions").glob(f"{version}.*/bin/python3")]
    if found:
        return max(found, key=_patch)
    named = shutil.which(f"python{version}")
    return Path(named) if named else None


def _patch(program: Path) -> tuple[int, ...]:
    """Return the third number of a program's folder; names such as ``3.14.0rc1`` come first."""
    last = program.parts[-3].rpartition(".")[2]
    return (int(last),) if last.isdigit() else ()


async def ensure_newest(*, say: Say = to_stderr) -> Path:
    """Return the program of an optimised CPython 3.14 in the cache, fetched when it is missing.

    Raises DevenvError where Go cannot deliver it, what came is not what is pinned, or it does not
    run here.
    """
    data = f"linux-{_machine()}"
    target = cache_folder("packages") / f"cpython-{_MODULE.partition('@')[2]}-{data}"
    async with locked(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            with step(f"Fetch {_MODULE}", f"it carries CPython {NEWEST} (110 MB, once)", say):
                await _make(target, data)
    return target / "bin" / "python3"


def _machine() -> str:
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        raise DevenvError(
            f"there is no CPython {NEWEST} to fetch for {sys.platform} on {platform.machine()}, "
            f"only for Linux on amd64 and arm64{_REMEDY}"
        )
    return machine


async def _make(target: Path, data: str) -> None:
    source = await _downloaded() / _DATA / data
    work = target.with_name(f"{target.name}.new")
    shutil.rmtree(work, ignore_errors=True)
    # In this thread, so that after Ctrl-C nothing goes on writing once the lock is free.
    unpack(source, work)
    compiling = (str(work / "bin" / "python3"), "-I", "-m", "compileall", "-q", str(work / "lib"))
    try:
        await output_of(compiling, limit_seconds=_COMPILE_SECONDS)
    except (DevenvError, OSError) as error:
        raise DevenvError(
            f"the CPython in {_MODULE} does not run on this machine{_REMEDY}\n{error}"
        ) from error
    work.rename(target)


async def _downloaded() -> Path:
    """Return where Go keeps the module."""
    if shutil.which("go") is None:
        raise DevenvError(f"Go, which fetches {_MODULE}, is not on the PATH: install it{_REMEDY}")
    download = ("go", "mod", "download")
    try:
        await output_of((*download, _MODULE), limit_seconds=_DOWNLOAD_SECONDS)
        said = await output_of((*download, "-json", _MODULE), limit_seconds=_DOWNLOAD_SECONDS)
    except DevenvError as error:
        raise DevenvError(
            f"Go cannot fetch {_MODULE}: set GOPROXY to a module proxy that can be reached"
            f"{_REMEDY}\n{error}"
        ) from error
    module = json.loads(said)
    if module["Sum"] != _SUM:
        raise DevenvError(
            f"{_MODULE} came with the checksum {module['Sum']}, and {_SUM} is pinned: another "
            "GOPROXY may serve the true one, after `go clean -modcache`"
        )
    return Path(module["Dir"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One entry of the module's ``files.json``; ``mode`` holds the permissions alone."""

    name: str
    mode: int
    link: str
    compressed: bool


def _parsed(entry: Mapping[str, str | int | bool]) -> _File:
    """Source: the module's ``embed_util/file_list.go``; its ``perm`` is an io/fs.FileMode."""
    return _File(
        name=str(entry["name"]),
        mode=int(entry["perm"]) & 0o777,
        link=str(entry.get("symlink", "")),
        compressed=bool(entry.get("compressed", False)),
    )


def unpack(source: Path, target: Path) -> None:
    """Make the Python ``target`` of the module's folder for one platform, as its Go code does."""
    for entry in json.loads((source / "files.json").read_text())["files"]:
        file = _parsed(entry)
        path = target / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.link:
            path.symlink_to(file.link)
        elif (source / file.name).is_dir():
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(_content(source, file))
            path.chmod(file.mode)


def _content(source: Path, file: _File) -> bytes:
    if file.compressed:
        return gzip.decompress((source / f"{file.name}.gz").read_bytes())
    return (source / file.name).read_bytes()


if __name__ == "__main__":
    no_arguments(
        "devenv.pythons",
        f"Fetches CPython {NEWEST} unless it is in the cache; prints its path.",
    )
    try:
        print(asyncio.run(ensure_newest()))
    except DevenvError as failure:
        sys.exit(str(failure))
