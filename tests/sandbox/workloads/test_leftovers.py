"""Nothing of a container outlives its supervisor for longer than until the next one opens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from akash_sandbox.runtimes import cgroup
from akash_sandbox.settings import RuntimeName
from akash_sandbox.workloads.supervisor import scope_of
from tests.sandbox.workloads.bench import Bench, refuses, running

LIMITED = {"runc", "crun"}
"""The runtimes that put containers into control groups of the sandbox."""
_START_SECONDS = 40.0
_REPOSITORY = Path(__file__).parents[3]


def marked(mark: str) -> list[int]:
    """Return the processes with this mark in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"MARK={mark}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def mounted(folder: Path) -> list[str]:
    """Return the mounts below a folder."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if f" {folder}/" in line]


def groups(folder: Path) -> list[Path]:
    """Return the control groups of the container on a folder."""
    found = cgroup.find(scope_of(folder))
    return [each for each in found.folders("tenant-1") if each.exists()] if found else []


async def test_close_leaves_nothing(bench: Bench, runtime: RuntimeName) -> None:
    supervisor = await bench.supervisor(runtime)
    await supervisor.deploy(bench.ask(env=(("MARK", str(bench.folder)),)))
    external = await running(supervisor)
    assert marked(str(bench.folder))
    if runtime in LIMITED and cgroup.find(scope_of(bench.folder)) is not None:
        assert groups(bench.folder)
    await supervisor.close()
    assert marked(str(bench.folder)) == []
    assert mounted(bench.folder) == []
    assert groups(bench.folder) == []
    assert await refuses(external)
    assert {path.name for path in bench.folder.iterdir()} <= {
        *("images", "lock", "ports.json", "runtimes"),
    }


async def test_the_next_open_ends_what_a_killed_process_left(
    bench: Bench, runtime: RuntimeName
) -> None:
    mark = str(bench.folder)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.sandbox.workloads.supervise"),
        *(str(bench.folder), bench.image, runtime, mark),
        stdout=asyncio.subprocess.PIPE,
        cwd=_REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    async with asyncio.timeout(_START_SECONDS):
        external = int(await process.stdout.readline())
    assert marked(mark)
    process.kill()
    await process.wait()
    supervisor = await bench.supervisor(runtime)
    assert marked(mark) == []
    assert mounted(bench.folder) == []
    assert groups(bench.folder) == []
    await supervisor.deploy(bench.ask())
    assert await running(supervisor) == external
