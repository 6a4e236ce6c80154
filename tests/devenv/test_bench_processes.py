"""A benchmark that is told to end leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

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
