"""The zipapp is made once, and never taken for that of other sources."""

from __future__ import annotations

import shutil
import sys
import zlib
from pathlib import Path

import pytest

from devenv.sentinel import SOURCES
from sentinel import packed as module
from sentinel.packed import packed


class Made:
    """Counts instead of packing, which takes a second."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, sources: str) -> bytes:
        self.count += 1
        return f"archive {self.count}".encode()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    made = Made()
    monkeypatch.setattr(module, "zipapp", made)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return made


@pytest.fixture
def sources(tmp_path: Path) -> str:
    shutil.copytree(SOURCES, tmp_path / "sentinel", ignore=shutil.ignore_patterns("__pycache__"))
    return str(tmp_path / "sentinel")


def _kept(sources: str) -> Path:
    (found,) = Path(sources, "__pycache__").iterdir()
    return found


def test_the_second_process_reads_what_the_first_made(made: Made, sources: str) -> None:
    assert packed(sources) == packed(sources) == b"archive 1"
    assert made.count == 1


@pytest.mark.parametrize(
    "changed", ["guard/verdict.py", "agent/__init__.py", "minify.py", "new.py"]
)
def test_changed_sources_are_packed_again(made: Made, sources: str, changed: str) -> None:
    packed(sources)
    with Path(sources, changed).open("a") as file:
        file.write("\nchanged = 1\n")
    assert packed(sources) == packed(sources) == b"archive 2"


def test_a_module_that_is_gone_or_moved_is_noticed(made: Made, sources: str) -> None:
    packed(sources)
    Path(sources, "agent", "calls.py").rename(Path(sources, "agent", "moved.py"))
    assert packed(sources) == b"archive 2"
    Path(sources, "agent", "moved.py").unlink()
    assert packed(sources) == b"archive 3"


@pytest.mark.parametrize("damage", [b"", b"short", bytes(100)])
def test_what_is_damaged_is_made_again(made: Made, sources: str, damage: bytes) -> None:
    packed(sources)
    _kept(sources).write_bytes(damage)
    assert packed(sources) == packed(sources) == b"archive 2"


def test_one_flipped_bit_is_noticed(made: Made, sources: str) -> None:
    packed(sources)
    content = bytearray(_kept(sources).read_bytes())
    content[-1] ^= 1
    _kept(sources).write_bytes(content)
    assert packed(sources) == b"archive 2"


def test_other_zlibs_make_their_own(
    made: Made, sources: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(sources)
    monkeypatch.setattr(zlib, "ZLIB_RUNTIME_VERSION", "0.9")
    assert packed(sources) == b"archive 2"


def test_nothing_is_kept_where_nothing_can_be_written(made: Made, sources: str) -> None:
    Path(sources, "__pycache__").write_text("in the way")
    assert [packed(sources), packed(sources)] == [b"archive 1", b"archive 2"]


def test_nothing_is_written_where_python_was_told_to_write_nothing(
    made: Made, sources: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    packed(sources)
    assert not Path(sources, "__pycache__").exists()
