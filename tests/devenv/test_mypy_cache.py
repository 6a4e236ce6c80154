"""A fresh checkout starts with what mypy knows from another one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devenv.mypy_cache import restore, save


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "environment" / "mypy_cache"


def _filled(cache: Path, text: str) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "cache.db").write_text(text)
    return cache


def test_what_one_checkout_saved_the_next_one_restores(tmp_path: Path, kept: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    restore(first, kept)
    save(_filled(first, "found"), kept)
    restore(second, kept)
    assert (second / "cache.db").read_text() == "found"


def test_only_a_fresh_checkout_restores_and_saves(tmp_path: Path, kept: Path) -> None:
    """Of two branches each keeps its own; neither makes the other's stale."""
    fresh, own = tmp_path / "fresh", _filled(tmp_path / "own", "own")
    restore(fresh, kept)
    save(_filled(fresh, "first"), kept)
    restore(own, kept)
    save(own, kept)
    save(_filled(fresh, "second"), kept)
    assert (own / "cache.db").read_text() == "own"
    assert (kept / "cache.db").read_text() == "first"


def test_a_restored_cache_is_saved_in_place_of_what_was_kept(tmp_path: Path, kept: Path) -> None:
    cache = tmp_path / "cache"
    _filled(kept, "old")
    _filled(kept.with_name("mypy_cache.new"), "half a copy")
    restore(cache, kept)
    save(_filled(cache, "new"), kept)
    assert (kept / "cache.db").read_text() == "new"
    assert not kept.with_name("mypy_cache.new").exists()


def test_mypy_believes_a_restored_cache_but_for_what_differs(tmp_path: Path, kept: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "same.py").write_text("def number() -> int:\n    return 1\n")
        (folder / "other.py").write_text("import same\n\nfound: int = same.number()\n")
        for each in folder.iterdir():
            os.utime(each, (1000, 1000 + 60 * (folder == second)))
    (second / "other.py").write_text("import same\n\nfound: str = same.number()\n")
    restore(first / ".mypy_cache", kept)
    assert "Parsing same.py" in _checked(first)
    save(first / ".mypy_cache", kept)
    restore(second / ".mypy_cache", kept)
    shown = _checked(second)
    assert "Parsing same.py" not in shown
    assert "Parsing other.py" in shown
    assert "Incompatible types in assignment" in shown


def _checked(folder: Path) -> str:
    """Return what mypy says about the folder, with how it took its cache."""
    command = (sys.executable, "-m", "mypy", "-v", "same.py", "other.py")
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout
