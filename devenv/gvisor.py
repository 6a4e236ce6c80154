"""gVisor's runsc, for the tests of containers on a kernel of another kind; built once."""

from __future__ import annotations

import shutil
from pathlib import Path

from devenv.cache import cache_folder
from devenv.command import output_of
from devenv.errors import DevenvError
from devenv.lock import locked
from devenv.steps import Say, step, to_stderr

_MODULE = "gvisor.dev/gvisor/runsc@v0.0.0-20260905035102-160fafc42237"
_BUILD_SECONDS = 1800


async def ensure_runsc(*, say: Say = to_stderr) -> Path:
    """Return the program: the one on the PATH, else a cached one. Raises DevenvError."""
    if found := shutil.which("runsc"):
        return Path(found)
    if shutil.which("go") is None:
        raise DevenvError("runsc is not on the PATH and neither is Go to build it; install gVisor")
    target = cache_folder("bin") / f"runsc-{_MODULE.rpartition('-')[2]}"
    async with locked(target.with_suffix(".lock")):
        if not target.exists():
            folder = cache_folder("go")
            with step(f"Build {_MODULE}", "containers on gVisor (minutes, once)", say):
                await output_of(
                    ("go", "install", _MODULE),
                    limit_seconds=_BUILD_SECONDS,
                    env={"GOBIN": str(folder), "CGO_ENABLED": "0"},
                )
            (folder / "runsc").replace(target)
    return target
