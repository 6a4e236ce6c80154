"""Children are waited for and never left behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from devenv.errors import DevenvError
from devenv.processes import Process

_LIMIT = 20


def _python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-u", "-c", code)


def _alive(pid: int) -> bool:
    """Tell whether ``pid`` runs; a zombie that init has yet to reap does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


async def _gone(pid: int) -> None:
    for _ in range(1000):
        if not _alive(pid):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"process {pid} is still there")


async def test_ready_returns_the_words_of_the_line(tmp_path: Path) -> None:
    child = await Process.start(
        "child", _python("print('readying'); print('ready a b'); input()"), log=tmp_path / "log"
    )
    await child.wait()  # no input: it ends at once, and its line still counts
    assert await child.ready(limit_seconds=_LIMIT) == ["a", "b"]


async def test_lines_of_an_earlier_child_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("ready old\n")
    child = await Process.start("child", _python("print('ready new')"), log=tmp_path / "log")
    assert await child.ready(limit_seconds=_LIMIT) == ["new"]
    await child.stop()


async def test_a_child_that_ends_early_shows_its_log(tmp_path: Path) -> None:
    child = await Process.start("child", _python("raise SystemExit('no luck')"), log=tmp_path / "l")
    with pytest.raises(DevenvError, match=r"(?s)child ended with status 1.*no luck"):
        await child.ready(limit_seconds=_LIMIT)


async def test_a_child_that_never_gets_ready_is_an_error(tmp_path: Path) -> None:
    child = await Process.start("child", ("sleep", "60"), log=tmp_path / "log")
    with pytest.raises(DevenvError, match="not ready within"):
        await child.ready(limit_seconds=0.1)
    assert await child.stop() == -signal.SIGTERM


async def test_a_missing_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DevenvError, match="cannot be started"):
        await Process.start("child", (str(tmp_path / "missing"),), log=tmp_path / "log")


async def test_a_child_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal; signal.signal(15, signal.SIG_IGN); print('ready'); signal.pause()"
    child = await Process.start("child", _python(code), log=tmp_path / "log")
    await child.ready(limit_seconds=_LIMIT)
    assert await child.stop(grace_seconds=0.1) == -signal.SIGKILL


async def test_stop_takes_grandchildren_too(tmp_path: Path) -> None:
    code = "import subprocess; print('ready', subprocess.Popen(['sleep', '60']).pid); input()"
    child = await Process.start("child", ("sh", "-c", _shell(code)), log=tmp_path / "log")
    (grandchild,) = await child.ready(limit_seconds=_LIMIT)
    await child.stop()
    await _gone(int(grandchild))


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals exist on Linux only")
async def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import asyncio, os, pathlib\n"
        "from devenv.processes import Process\n"
        "async def main():\n"
        f"    log = pathlib.Path({str(tmp_path / 'inner')!r})\n"
        "    child = await Process.start('inner', ('sleep', '60'), log=log)\n"
        "    print('ready', child.pid)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await Process.start(
        "parent", _python(code), log=tmp_path / "log", env={"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    (inner,) = await parent.ready(limit_seconds=_LIMIT)
    assert _alive(int(inner))
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    await _gone(int(inner))


def _shell(code: str) -> str:
    return f'"{sys.executable}" -u -c "{code}" < /dev/zero'
