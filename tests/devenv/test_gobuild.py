"""Programs are built once, with progress."""

import asyncio
import shutil
from pathlib import Path

import pytest

from devenv.command import output_of
from devenv.errors import DevenvError
from devenv.gobuild import Progress, build, told

_needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "go.mod").write_text("module tiny\n\ngo 1.25\n")
    (folder / "go.sum").write_text("")
    (folder / "main.go").write_text('package main\n\nfunc main() { print("hello") }\n')
    return folder


@_needs_go
async def test_two_callers_build_once(program: Path) -> None:
    reports: list[Progress] = []
    first, second = await asyncio.gather(
        build(program, report=reports.append), build(program, report=reports.append)
    )
    assert first == second
    assert [report.phase for report in reports].count("built") == 1
    last = next(report for report in reports if report.phase == "built")
    assert last.done == last.total > 0
    assert await output_of((str(first),), limit_seconds=10) == ""


@_needs_go
async def test_a_failure_shows_what_the_compiler_said(program: Path) -> None:
    (program / "main.go").write_text("package main\n\nfunc main() { missing() }\n")
    with pytest.raises(DevenvError, match="undefined: missing"):
        await build(program)


async def test_a_missing_compiler_names_the_remedy(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DevenvError, match="Install Go"):
        await build(program)


def test_a_cold_build_is_told_in_few_lines() -> None:
    said: list[str] = []
    report = told(said.append)
    for done in range(1, 139):
        report(Progress(program="tiny", phase="fetching modules", done=done, total=0))
    for done in range(1, 2001):
        report(Progress(program="tiny", phase="compiling", done=done, total=2000))
    assert said[0] == "  tiny: fetching modules, 1 so far"
    assert said[-1] == "  tiny: compiling, 2000 of 2000"
    assert len(said) == 6 + 11
    assert not any("of 0" in line for line in said)
