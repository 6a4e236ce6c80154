"""What a person types, and what continuous integration runs."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devenv.checkout import ROOT
from tests.conftest import LONG

MAKEFILE = (ROOT / "Makefile").read_text()
LIMIT_SECONDS = 50


def phony() -> list[str]:
    """Return the targets that are commands and not files."""
    found = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert found is not None
    return found[1].split()


def ran(*argv: str, folder: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def test_every_target_is_explained_and_make_alone_explains_them() -> None:
    shown = ran("make").stdout
    assert shown == ran("make", "help").stdout
    explained = re.findall(r"^  ([a-z-]+) +\S", shown, re.MULTILINE)
    hidden = {"static", "provision", "provision-tests"}
    assert sorted(explained) == sorted(set(phony()) - hidden)


@pytest.mark.parametrize("target", phony())
def test_every_target_can_be_planned(target: str) -> None:
    planned = ran("make", "--dry-run", target, PYTEST_ARGS="-k nothing")
    assert planned.returncode == 0, planned.stderr


TOOLS = sorted(
    path.stem
    for path in (ROOT / "devenv").glob("*.py")
    if '__name__ == "__main__"' in path.read_text()
    if path.stem not in {"bench_relay_server", "guidellm_client", "venv"}
)
"""Those that people start, in this environment: one makes it, and benchmarks start two in others."""


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_says_what_it_does_and_does_not_do_it(
    tool: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [tool, "--help"])
    monkeypatch.delitem(sys.modules, f"devenv.{tool}", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"devenv.{tool}", run_name="__main__")
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: python -m devenv.{tool} ")
    assert len(shown.splitlines()) > 4


def test_the_long_tests_are_left_to_their_own_target() -> None:
    assert 'pytest -m "not long"' in ran("make", "--dry-run", "test").stdout
    assert "pytest -m long" in ran("make", "--dry-run", "test-long").stdout
    assert "-k nothing" in ran("make", "-n", "test-long", "PYTEST_ARGS=-k nothing").stdout


def test_the_long_tests_begin_with_those_that_run_the_product() -> None:
    files = ["akash_node/test_crashes.py", "sentinel/relay/test_http2.py", "e2e/test_failing.py"]
    paths = [f"tests/{each}" for each in files]
    collect = ("-m", "pytest", "-m", "long", "--collect-only", "-q", "-p", "no:cacheprovider")
    collected = ran(sys.executable, *collect, *paths).stdout
    found = re.findall(r"^tests/(\S+?)::", collected, re.MULTILINE)
    assert list(dict.fromkeys(found)) == list(reversed(files))
    assert [each for each in LONG if not (ROOT / "tests" / each).is_dir()] == []


def test_clean_deletes_what_tools_left_and_nothing_else(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("devenv", "pyproject.toml"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    left = [tmp_path / ".mypy_cache" / "x", tmp_path / ".pytest_cache" / "x"]
    left += [tmp_path / each / "deep" / "__pycache__" / "x.pyc" for each in ("operator", "tests")]
    kept = [tmp_path / each / "deep" / "code.py" for each in ("operator", "tests")]
    for each in (*left, *kept):
        each.parent.mkdir(parents=True, exist_ok=True)
        each.touch()
    done = ran("make", "clean", folder=tmp_path, PYTHONDONTWRITEBYTECODE="1")
    assert done.returncode == 0, done.stderr
    assert [each for each in left if each.exists()] == []
    assert [each for each in kept if not each.exists()] == []
    assert (tmp_path / "devenv" / "venv.py").exists()


@pytest.fixture
def ci(tmp_path: Path) -> Path:
    """The script in a checkout whose ``make`` only writes down what it was asked for."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    make = tmp_path / "bin" / "make"
    make.parent.mkdir()
    make.write_text('#!/bin/sh\necho "$@" >> asked\nif [ -f "./$1" ]; then . "./$1"; fi\n')
    make.chmod(0o755)
    return tmp_path


def ci_run(folder: Path, **behaviour: str) -> subprocess.CompletedProcess[str]:
    """Run the script; ``behaviour`` is what a target does instead of nothing."""
    for target, deed in behaviour.items():
        (folder / target.replace("_", "-")).write_text(deed)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return ran(str(folder / ".ci" / "run"), folder=folder, PATH=path, GARRISON_LONG_LIMIT="1s")


def test_ci_runs_the_tests_and_then_the_long_ones(ci: Path) -> None:
    assert ci_run(ci).returncode == 0
    asked = (ci / "asked").read_text().split("\n")
    assert asked == ["venv", "test", "test-long PYTEST_ARGS=-x", ""]


def test_ci_fails_with_the_tests_and_asks_for_nothing_more(ci: Path) -> None:
    assert ci_run(ci, test="exit 3").returncode == 3
    assert "test-long" not in (ci / "asked").read_text()


def test_ci_fails_with_a_long_test_that_fails_twice(ci: Path) -> None:
    assert ci_run(ci, test_long="exit 2").returncode == 2
    again = "test-long PYTEST_ARGS=-x --last-failed --last-failed-no-failures=none"
    assert (ci / "asked").read_text().split("\n")[-2] == again


def test_ci_passes_with_a_long_test_that_fails_once_and_says_so(ci: Path) -> None:
    done = ci_run(ci, test_long="if mkdir tried 2>/dev/null; then exit 2; fi")
    assert done.returncode == 0
    assert "a long test failed" in done.stderr


def test_ci_does_not_fail_when_the_long_tests_run_out_of_time(ci: Path) -> None:
    done = ci_run(ci, test_long="exec sleep 30")
    assert done.returncode == 0
    assert "ran out of time" in done.stderr
