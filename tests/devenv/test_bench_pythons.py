"""Which Pythons the sentinel is measured by, and how they are named."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from devenv import bench_pythons
from devenv.bench_pythons import Interpreter, begin_with_pythons, compared, interpreter
from devenv.errors import DevenvError

pytestmark = pytest.mark.usefixtures("_signals")


@pytest.fixture
def _signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the signals of the process that runs the tests alone."""
    monkeypatch.setattr(bench_pythons, "interruptible", lambda: None)


def test_a_python_says_what_it_is() -> None:
    found = interpreter(Path(sys.executable))
    assert (found.path, found.version) == (Path(sys.executable), platform.python_version())


@pytest.mark.parametrize(("optimised", "shown"), [(True, "3.14.6, optimised"), (False, "3.14.6")])
def test_only_what_is_known_to_be_optimised_is_called_so(*, optimised: bool, shown: str) -> None:
    assert str(Interpreter(path=Path("/python"), version="3.14.6", optimised=optimised)) == shown


@pytest.mark.parametrize("body", [None, "#!/bin/sh\nexit 1\n", "#!/bin/sh\necho hello\n"])
def test_what_is_no_python_is_named(body: str | None, tmp_path: Path) -> None:
    program = tmp_path / "program"
    if body is not None:
        program.write_text(body)
        program.chmod(0o755)
    with pytest.raises(SystemExit, match=f"{program} is no Python"):
        interpreter(program)


def test_those_named_are_measured_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "--python", sys.executable, "--python", sys.executable])
    assert [each.path for each in begin_with_pythons("x", None)] == [Path(sys.executable)] * 2


def test_without_the_newest_the_own_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def ensure_newest() -> Path:
        raise DevenvError("Go cannot fetch it: set GOPROXY")

    monkeypatch.setattr(bench_pythons, "ensure_newest", ensure_newest)
    assert compared()[0].path == Path(sys.executable)
    assert "without CPython 3.14: Go cannot fetch it" in capsys.readouterr().err
