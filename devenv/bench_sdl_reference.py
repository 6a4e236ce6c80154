"""The Go reference library that ``devenv.bench_sdl`` measures beside: built in the cache, or given."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from devenv.cache import cache_folder, cache_key
from devenv.command import output_of
from devenv.errors import DevenvError
from devenv.lock import locked
from devenv.steps import step

VARIABLE = "SDL_REFERENCE"
SOURCE = Path(__file__).with_name("bench_sdl.go")
# Go reads a module's replacements only where it is the main one: these are the library's own.
GO_MOD = """\
module garrison.dev/bench_sdl

go 1.25.0

require (
	pkg.akt.dev/go v0.2.16
	pkg.akt.dev/go/sdl v0.2.2
)

replace (
	github.com/99designs/keyring => github.com/cosmos/keyring v1.2.0
	github.com/bytedance/sonic => github.com/bytedance/sonic v1.15.0
	github.com/cometbft/cometbft => github.com/akash-network/cometbft v0.38.21-akash.1
	github.com/cosmos/cosmos-sdk => github.com/akash-network/cosmos-sdk v0.53.7-akash.2
	github.com/cosmos/gogoproto => github.com/akash-network/gogoproto v1.7.0-akash.2
	github.com/gogo/protobuf => github.com/regen-network/protobuf v1.3.3-alpha.regen.1
	github.com/syndtr/goleveldb => github.com/syndtr/goleveldb v1.0.1-0.20210819022825-2ae1ddf74ef7
	golang.org/x/exp => golang.org/x/exp v0.0.0-20230711153332-06a737ee72cb
	google.golang.org/genproto/googleapis/api => google.golang.org/genproto/googleapis/api v0.0.0-20240123012728-ef4313101c80
	pgregory.net/rapid => pgregory.net/rapid v0.5.5
)
"""
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
_BUILD_SECONDS = 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the Go program prints: ``rate`` is per second of its CPU time, ``version`` hex."""

    rate: float
    version: str


def given() -> Path | None:
    """Return the program that ``SDL_REFERENCE`` names; None when it names none.

    Raises DevenvError when that is no program.
    """
    named = os.environ.get(VARIABLE, "")
    if not named:
        return None
    if not (Path(named).is_file() and os.access(named, os.X_OK)):
        raise DevenvError(f"{VARIABLE}={named} is no executable file; give a built bench_sdl.go")
    return Path(named).absolute()


async def built() -> Path:
    """Return the program, built once per state of its source.

    Raises DevenvError when Go or a module of the library cannot be had, in one line.
    """
    if shutil.which("go") is None:
        raise DevenvError("the Go compiler is not on the PATH")
    key = cache_key([GO_MOD.encode(), SOURCE.read_bytes()])
    target = cache_folder("bin") / f"bench_sdl-{key}"
    async with locked(target.with_suffix(".lock")):
        if not target.exists():
            with step("Build the Go reference", "SDLs are compiled and hashed beside it"):
                await _build(target)
    return target


async def _build(target: Path) -> None:
    module = cache_folder(f"sdl-reference/{target.name}")
    (module / "go.mod").write_text(GO_MOD)
    await asyncio.to_thread(shutil.copy, SOURCE, module / "main.go")
    temporary = target.with_suffix(".new")
    argv = ("go", "build", "-trimpath", "-o", str(temporary), ".")
    try:
        await output_of(argv, limit_seconds=_BUILD_SECONDS, env=_ENVIRONMENT, cwd=module)
    except DevenvError as error:
        raise DevenvError(reason(str(error))) from error
    temporary.replace(target)


def reason(failure: str) -> str:
    """Return the line of a failed build that says why: not the command, nor what Go fetched."""
    command, *lines = failure.splitlines()
    said = [line for line in lines if not line.startswith(("go: downloading", "go: finding"))]
    return said[0] if said else command


def measure(program: Path, mode: str, document: Path, seconds: float) -> Answer:
    """Return how fast the program does ``mode`` (compile, hash), on one core.

    Raises DevenvError when it fails, or answers something else.
    """
    argv = (str(program), mode, str(round(seconds * 1000)), str(document))
    ran = subprocess.run(
        argv, env={**os.environ, "GOMAXPROCS": "1"}, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise DevenvError(f"{' '.join(argv)} failed with exit code {ran.returncode}: {ran.stderr}")
    return answer(ran.stdout)


def answer(printed: str) -> Answer:
    """Return what the program printed. Raises DevenvError when that is not its one JSON object."""
    try:
        match json.loads(printed):
            case {"count": int(count), "cpu": int() | float() as cpu, "version": str(version)} if (
                cpu > 0
            ):
                return Answer(rate=count / cpu, version=version)
            case _:
                pass
    except ValueError:
        pass
    raise DevenvError(f"the Go reference printed {printed!r}, not count, cpu and version")
