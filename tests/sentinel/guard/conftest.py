"""What the tests of the guard share: the zipapp, programs, Pythons, the wire."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devenv.sentinel import write
from tests.sentinel.guard.netns import Wire, unavailable, wire

PROGRAMS = Path(__file__).parent / "programs"
NOBODY = 65534


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that every user may read."""
    made = Path(tempfile.mkdtemp(prefix="guard-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def zipapp(folder: Path) -> Path:
    return write(folder / "sentinel.pyz")


@pytest.fixture(scope="session")
def between(folder: Path) -> Iterator[Wire]:
    """The wire, emptied by ``clean``."""
    if why := unavailable():
        pytest.skip(why)
    with wire(folder) as made:
        yield made


@pytest.fixture
def clean(between: Wire) -> Wire:
    between.settle()
    between.seen.clear()
    between.questions.clear()
    return between


@pytest.fixture(scope="session")
def python() -> str:
    """A Python that every user may run."""
    for each in ("/usr/bin/python3", sys.executable):
        if Path(each).exists() and _everybody_may_run(each):
            return each
    return sys.executable


def _everybody_may_run(program: str) -> bool:
    if os.geteuid() != 0:
        return True
    tried = subprocess.run([program, "-c", "import ctypes"], user=NOBODY, check=False, env={})
    return tried.returncode == 0


@pytest.fixture(scope="session")
def compiled(folder: Path) -> Callable[[str], Path]:
    """Compile a program of this folder once, or skip."""

    def build(name: str) -> Path:
        target = folder / name
        if not target.exists():
            compiler = shutil.which("gcc") or shutil.which("cc")
            if compiler is None:
                pytest.skip("no C compiler: the attempts that need one are left out")
            source = PROGRAMS / f"{name}.c"
            command = [compiler, "-O1", "-pthread", "-o", str(target), str(source)]
            subprocess.run(command, check=True, capture_output=True)
        return target

    return build


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What a guarded command did; ``start`` is the first record."""

    code: int
    output: str
    errors: str
    records: list[dict[str, Any]]

    @property
    def start(self) -> dict[str, Any]:
        return self.records[0]

    def denied(self) -> list[tuple[str, int, str]]:
        """Return destination, port and reason of every denial written."""
        return [
            (each["destination"], each["port"], each["reason"])
            for each in self.records
            if each["event"] in ("denied", "would-deny")
        ]


class Runner:
    """Runs commands under the guard, in the near namespace when there is one."""

    def __init__(self, python: str, zipapp: Path, folder: Path) -> None:
        self.python = python
        self.zipapp = zipapp
        self._folder = folder
        self._number = 0

    def argv(
        self, policy: Mapping[str, Any] | None, *options: str, python: str = ""
    ) -> tuple[list[str], Path]:
        """Return the guard's command line up to ``--``, and where its report goes."""
        self._number += 1
        report = self._folder / f"report-{self._number}"
        report.touch()
        report.chmod(0o666)
        argv = [
            python or self.python,
            "-I",
            "-S",
            str(self.zipapp),
            "guard",
            "--report",
            str(report),
        ]
        if policy is not None:
            path = self._folder / f"policy-{self._number}"
            path.write_text(json.dumps(policy))
            argv += ["--policy", str(path)]
        return [*argv, *options, "--"], report

    def __call__(
        self,
        *command: str,
        policy: Mapping[str, Any] | None = None,
        options: tuple[str, ...] = (),
        on: Wire | None = None,
        user: int = 0,
        python: str = "",
        seconds: float = 50,
    ) -> Guarded:
        argv, report = self.argv(policy, *options, python=python)
        environment = {**os.environ, "GUARDED": "1"}
        if on is not None:
            done = on.run([*argv, *command], user=user, seconds=seconds, env=environment)
        else:
            done = subprocess.run(
                [*argv, *command],
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        records = [json.loads(line) for line in report.read_text().splitlines()]
        return Guarded(
            code=done.returncode, output=done.stdout, errors=done.stderr, records=records
        )


@pytest.fixture(scope="session")
def guarded(python: str, zipapp: Path, folder: Path) -> Runner:
    return Runner(python, zipapp, folder)
