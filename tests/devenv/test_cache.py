"""Names in the cache."""

import os
import time
from pathlib import Path

import pytest

from devenv.cache import cache_home, cache_key, forget_old, require_space, used
from devenv.errors import DevenvError
from devenv.gobuild import binary_path
from devenv.venv import requirements, venv_path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_relative_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_home() == tmp_path / ".cache" / "garrison"


def test_parts_cannot_run_into_each_other() -> None:
    keys = {cache_key([b"ab", b"c"]), cache_key([b"a", b"bc"]), cache_key([b"abc"])}
    assert len(keys) == 3


def _program(folder: Path, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "go.mod").write_text("module tiny\n\ngo 1.25\n")
    (folder / "go.sum").write_text("")
    (folder / "main.go").write_text(f"package main\n\nfunc main() {{ {body} }}\n")
    return folder


def part(folder: Path, name: str, *, hours: float) -> Path:
    made = folder / name
    made.mkdir()
    (made / "blob").write_text("x")
    moment = time.time() - hours * 3600
    os.utime(made, (moment, moment))
    return made


def test_only_what_was_used_last_is_kept(tmp_path: Path) -> None:
    old, older, fresh = (part(tmp_path, f"model-{n}", hours=n) for n in (3, 4, 2))
    other = part(tmp_path, "other-1", hours=9)
    used(older)
    assert forget_old(tmp_path, "model-", keep=2) == [old]
    assert sorted(tmp_path.iterdir()) == sorted([older, fresh, other])


def test_what_was_used_a_moment_ago_is_never_deleted(tmp_path: Path) -> None:
    recent = [part(tmp_path, f"model-{n}", hours=0.1 * n) for n in range(4)]
    assert forget_old(tmp_path, "model-", keep=1) == []
    assert sorted(tmp_path.iterdir()) == recent


def test_too_small_a_disk_is_told_before_the_work(tmp_path: Path) -> None:
    require_space(tmp_path, 1, "compiling x")
    with pytest.raises(DevenvError, match=r"compiling x needs 1048576 GiB .*XDG_CACHE_HOME"):
        require_space(tmp_path, 1 << 50, "compiling x")


def test_a_binarys_name_follows_its_sources(tmp_path: Path) -> None:
    first = binary_path(_program(tmp_path / "tiny", 'print("a")'))
    changed = binary_path(_program(tmp_path / "tiny", 'print("b")'))
    back = binary_path(_program(tmp_path / "tiny", 'print("a")'))
    assert first == back != changed
    (tmp_path / "tiny" / "notes.txt").write_text("not a source")
    assert binary_path(tmp_path / "tiny") == first


def test_an_environments_name_follows_the_dependencies(tmp_path: Path) -> None:
    pyproject = tmp_path / "pyproject.toml"
    text = '[project]\ndependencies = ["a>=1"]\noptional-dependencies.dev = ["b"]\n'
    pyproject.write_text(text)
    first = venv_path(requirements(pyproject))
    pyproject.write_text(text + 'description = "another text"\n')
    assert venv_path(requirements(pyproject)) == first
    pyproject.write_text(text.replace("a>=1", "a>=2"))
    assert venv_path(requirements(pyproject)) != first
    assert first.parent == cache_home()


def test_an_environment_belongs_to_one_python(monkeypatch: pytest.MonkeyPatch) -> None:
    first = venv_path(["a"])
    monkeypatch.setattr("sys.version", "3.99")
    assert venv_path(["a"]) != first
