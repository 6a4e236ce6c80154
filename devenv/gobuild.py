"""Go programs of this repository, built once per state of their sources."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from devenv.arguments import no_arguments
from devenv.cache import cache_folder, cache_key, require_space
from devenv.checkout import CONTROLPLANE
from devenv.command import output_of
from devenv.errors import DevenvError
from devenv.lock import locked

_LIST_SECONDS = 900
_BUILD_SECONDS = 3600
_SOME = 25
_BUILD_BYTES = 4 << 30
"""modules, Go's own cache and the programs of a cold build: 3.6 GiB"""

# Without debugging data and with a lazier collector the control plane's cold build takes a third
# less CPU time and memory.
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOGC": "400", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
_FLAGS = ("-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", "-s -w")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """``done`` of ``total`` packages; an unchanged package counts only when the build ends.

    ``total`` is 0 while it is unknown: Go does not tell how many modules it will fetch.
    """

    program: str
    phase: str
    done: int
    total: int

    @property
    def milestone(self) -> int:
        """Grows with each tenth of the total; while that is unknown, with each 25 packages."""
        return 10 * self.done // self.total if self.total else self.done // _SOME

    def __str__(self) -> str:
        count = f", {self.done} of {self.total}" if self.total else f", {self.done} so far"
        return f"{self.program}: {self.phase}{count if self.done else ''}"


Report = Callable[[Progress], None]


def _silent(_progress: Progress) -> None:
    pass


def told(say: Callable[[str], None]) -> Report:
    """Return a report that says a line at each tenth: a cold build takes minutes.

    Where no total is known it says how many there are so far, now and then.
    """
    said = ("", -1)

    def report(progress: Progress) -> None:
        nonlocal said
        mark = (progress.phase, progress.milestone)
        if mark != said:
            said = mark
            say(f"  {progress}")

    return report


def binary_path(source: Path) -> Path:
    """Return where the program of folder ``source`` is kept for its present sources."""
    return cache_folder("bin") / f"{source.name}-{_key(source)}"


async def build(source: Path, *, report: Report = _silent) -> Path:
    """Return the built program of the Go module in ``source``.

    Raises DevenvError when Go is missing or the build fails.
    """
    target = binary_path(source)
    if target.exists():
        return target
    _require_go()

    def tell_waiting() -> None:
        report(Progress(program=source.name, phase="waiting for another build", done=0, total=0))

    async with locked(target.with_suffix(".lock"), on_wait=tell_waiting):
        if not target.exists():
            await _compile(source, target, report)
    return target


def _key(source: Path) -> str:
    files = sorted([source / "go.mod", source / "go.sum", *source.rglob("*.go")])
    settings = " ".join((*_FLAGS, *_ENVIRONMENT.values()))
    named = ((str(path.relative_to(source)).encode(), path.read_bytes()) for path in files)
    return cache_key([settings.encode(), *(part for pair in named for part in pair)])


def _require_go() -> None:
    if shutil.which("go") is None:
        raise DevenvError(
            "the Go compiler is not on the PATH; it builds the control plane and the registry for "
            "tests. Install Go 1.26 or newer and try again"
        )


async def _compile(source: Path, target: Path, report: Report) -> None:
    require_space(target.parent, _BUILD_BYTES, f"compiling {source.name}")
    counter = _Counter(source.name, report)
    packages = await _packages(source, counter)
    counter.start("compiling", total=len(packages))
    temporary = target.with_suffix(".new")
    argv = ("go", "build", "-v", *_FLAGS, "-o", str(temporary), ".")
    await _go(argv, source, _BUILD_SECONDS, counter.compiled)
    temporary.replace(target)
    counter.finish()


async def _packages(source: Path, counter: _Counter) -> list[str]:
    argv = ("go", "list", "-deps", ".")
    return (await _go(argv, source, _LIST_SECONDS, counter.downloaded)).split()


async def _go(
    argv: tuple[str, ...], source: Path, limit: float, on_line: Callable[[str], None]
) -> str:
    environment: Mapping[str, str] = _ENVIRONMENT
    return await output_of(argv, limit_seconds=limit, env=environment, cwd=source, on_line=on_line)


class _Counter:
    """Counts what Go names on standard error: modules fetched, then packages compiled."""

    def __init__(self, program: str, report: Report) -> None:
        self._program = program
        self._report = report
        self._phase = "fetching modules"
        self._done = 0
        self._total = 0

    def start(self, phase: str, *, total: int) -> None:
        self._phase, self._done, self._total = phase, 0, total

    def downloaded(self, line: str) -> None:
        if line.startswith("go: downloading"):
            self._step(self._done + 1)

    def compiled(self, line: str) -> None:
        if not line.startswith(("go:", "#")):
            self._step(min(self._done + 1, self._total))

    def finish(self) -> None:
        self._phase = "built"
        self._step(self._total)

    def _step(self, done: int) -> None:
        self._done = done
        self._report(
            Progress(program=self._program, phase=self._phase, done=done, total=self._total)
        )


if __name__ == "__main__":
    no_arguments(
        "devenv.gobuild", "Builds the control plane unless it is in the cache; prints its path."
    )
    print(asyncio.run(build(CONTROLPLANE)))
