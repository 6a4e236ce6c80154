"""CPython 3.14 comes whole and as pinned, or not at all; a machine's own Pythons are found."""

from __future__ import annotations

import asyncio
import gzip
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from devenv import pythons
from devenv.cache import cache_home
from devenv.errors import DevenvError

GO = """#!/bin/sh
echo "$@" >> {calls}
[ ! -e {broken} ] || {{ echo "dial tcp: connection refused" >&2; exit 1; }}
[ "$3" != -json ] || cat {answer}
"""
PROGRAM = b'#!/bin/sh\necho "$0" "$@"\n'
TEXT = b"print('this')\n"
FOLDER, LINK, EXECUTABLE, PLAIN = 1 << 31 | 0o755, 1 << 27, 0o775, 0o664
FILES: tuple[dict[str, Any], ...] = (
    {"name": "bin", "perm": FOLDER},
    {"name": "bin/python3", "perm": LINK, "symlink": "python3.14"},
    {"name": "bin/python3.14", "perm": EXECUTABLE, "compressed": True},
    {"name": "lib", "perm": FOLDER},
    {"name": "lib/python3.14", "perm": FOLDER},
    {"name": "lib/python3.14/this.py", "perm": PLAIN},
)


class Module:
    """A module with a Python of a few lines, and a Go client that has it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._calls = folder / "calls"
        self._answer = folder / "answer.json"
        self._data = folder / "module" / "python" / "internal" / "data" / "linux-amd64"
        (self._data / "bin").mkdir(parents=True)
        (self._data / "lib" / "python3.14").mkdir(parents=True)
        (self._data / "lib" / "python3.14" / "this.py").write_bytes(TEXT)
        (self._data / "files.json").write_text(json.dumps({"files": FILES}))
        self.carry(PROGRAM)
        self.deliver(pythons._SUM)

    def carry(self, program: bytes) -> None:
        """Let the module's Python be this program."""
        (self._data / "bin" / "python3.14.gz").write_bytes(gzip.compress(program))

    def deliver(self, checksum: str) -> None:
        """Let Go deliver the module with this checksum."""
        body = {"Dir": str(self._folder / "module"), "Sum": checksum}
        self._answer.write_text(json.dumps(body))
        broken = self._folder / "broken"
        broken.unlink(missing_ok=True)
        go = self._folder / "programs" / "go"
        go.parent.mkdir(exist_ok=True)
        go.write_text(GO.format(calls=self._calls, answer=self._answer, broken=broken))
        go.chmod(0o755)

    def withdraw(self) -> None:
        """Let Go reach nobody."""
        (self._folder / "broken").touch()

    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}:/usr/bin:/bin")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return Module(tmp_path)


def kept() -> list[str]:
    """Return the Pythons in the cache."""
    found = (cache_home() / "packages").glob("cpython-*")
    return [each.name for each in found if each.suffix not in (".lock", ".new")]


def silent(_line: str) -> None:
    pass


async def test_two_callers_fetch_once(module: Module) -> None:
    first, second = await asyncio.gather(
        pythons.ensure_newest(say=silent), pythons.ensure_newest(say=silent)
    )
    assert first == second
    assert module.calls() == [
        f"mod download {pythons._MODULE}",
        f"mod download -json {pythons._MODULE}",
    ]


async def test_it_comes_as_the_module_lists_it(module: Module) -> None:
    del module
    program = await pythons.ensure_newest(say=silent)
    folder = program.parents[1]
    assert program.readlink() == Path("python3.14")
    assert program.read_bytes() == PROGRAM
    assert stat.S_IMODE(program.stat().st_mode) == EXECUTABLE
    assert (folder / "lib" / "python3.14" / "this.py").read_bytes() == TEXT
    assert kept() == [folder.name]


async def test_another_content_than_the_pinned_one_is_refused(module: Module) -> None:
    module.deliver("h1:AAAA")
    with pytest.raises(DevenvError, match=r"checksum h1:AAAA.*go clean -modcache"):
        await pythons.ensure_newest(say=silent)
    assert kept() == []


async def test_what_go_says_is_told_with_a_remedy(module: Module) -> None:
    module.withdraw()
    with pytest.raises(DevenvError, match=r"(?s)set GOPROXY.*connection refused"):
        await pythons.ensure_newest(say=silent)
    assert kept() == []


async def test_without_go_the_remedy_is_named(
    module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    del module
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DevenvError, match=r"install it; or install Python 3\.14"):
        await pythons.ensure_newest(say=silent)


@pytest.mark.parametrize("program", [b"#!/bin/sh\nexit 3\n", b"#!/no/such/loader\n", b"\x7fELF"])
async def test_one_that_does_not_run_here_is_not_kept(module: Module, program: bytes) -> None:
    module.carry(program)
    with pytest.raises(DevenvError, match="does not run on this machine"):
        await pythons.ensure_newest(say=silent)
    assert kept() == []


async def test_after_an_interruption_it_is_made_anew(module: Module) -> None:
    module.carry(b'#!/bin/sh\ntouch "$0.begun"\nexec sleep 600\n')
    making = asyncio.create_task(pythons.ensure_newest(say=silent))
    while not list(cache_home().glob("packages/*.new/bin/*.begun")):  # noqa: ASYNC110 -- a file
        await asyncio.sleep(0.01)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert kept() == []
    module.carry(PROGRAM)
    program = await pythons.ensure_newest(say=silent)
    assert sorted(each.name for each in program.parent.iterdir()) == ["python3", "python3.14"]


async def test_machines_that_no_build_is_for_are_named(
    module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    del module
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(DevenvError, match=r"riscv64, only for Linux on amd64 and arm64"):
        await pythons.ensure_newest(say=silent)


def test_the_machines_own_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("3.9.9", "3.9.18", "3.14.0rc1", "3.14.0"):
        made = tmp_path / "versions" / name / "bin" / "python3"
        made.parent.mkdir(parents=True)
        made.touch()
    on_path = tmp_path / "python3.12"
    on_path.touch(mode=0o755)
    assert pythons.installed("3.9") == tmp_path / "versions/3.9.18/bin/python3"
    assert pythons.installed("3.14") == tmp_path / "versions/3.14.0/bin/python3"
    assert pythons.installed("3.12") == on_path
    assert pythons.installed("3.1") is None
