"""A benchmark that is told to end leaves nothing behind, and counts memory as a container would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devenv.bench_processes import kibibytes

_LIMIT = 60
_BENCHMARK = """
import tempfile, time
from devenv.bench_processes import begin
begin("devenv.bench", "text")
with tempfile.TemporaryDirectory(dir={folder!r}):
    time.sleep(600)
"""


def test_a_folder_goes_with_the_benchmark_that_is_terminated(tmp_path: Path) -> None:
    code = _BENCHMARK.format(folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + _LIMIT
        while not any(tmp_path.iterdir()) and time.monotonic() < until:
            time.sleep(0.01)
        assert any(tmp_path.iterdir())
        process.send_signal(signal.SIGTERM)
        assert process.wait(_LIMIT) != 0
    assert not any(tmp_path.iterdir())


_READER = """
import mmap, os, sys, time
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
child = os.fork()
sum(mapped[:: mmap.PAGESIZE])
print(flush=True)
time.sleep(600)
"""
_FILE_KIB = 64 << 10


@contextmanager
def reading(file: Path) -> Iterator[int]:
    """Run a process and a child of it that both read all of a file's mapping."""
    command = [sys.executable, "-I", "-c", _READER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, process_group=0) as process:
        assert process.stdout is not None
        try:
            assert [process.stdout.readline() for _ in range(2)] == [b"\n", b"\n"]
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_file_s_pages_count_once_whoever_else_has_them(tmp_path: Path) -> None:
    file = tmp_path / "library"
    file.write_bytes(bytes(_FILE_KIB << 10))
    with reading(file) as first:
        alone = kibibytes(first)
        with reading(file):
            beside = kibibytes(first)
    assert _FILE_KIB < alone < 1.5 * _FILE_KIB
    assert beside > 0.99 * alone
