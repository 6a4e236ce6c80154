"""A command of the system leaves nothing behind, however the wait for it ends."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from akash_sandbox.runtimes.command import output
from akash_sandbox.runtimes.container import RuntimeFailure

SLEEPS = 'echo $$ > "$0"; exec sleep 600'


def _pid(file: Path) -> int:
    while not (file.exists() and file.read_text().strip()):
        time.sleep(0.01)
    return int(file.read_text())


def _is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def test_one_that_is_waited_for_no_longer_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    waiting = asyncio.create_task(output(["sh", "-c", SLEEPS, str(file)]))
    pid = await asyncio.to_thread(_pid, file)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert _is_gone(pid)


async def test_one_that_takes_too_long_is_ended_and_named(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with pytest.raises(RuntimeFailure, match="sh: no answer within 1 s"):
        await output(["sh", "-c", SLEEPS, str(file)], 1)
    assert _is_gone(_pid(file))
