"""Limits: which control groups are found, and what happens where none can be made."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from akash_sandbox.runtimes import cgroup
from akash_sandbox.runtimes.cgroup import Cgroups
from akash_sandbox.runtimes.choice import choose
from akash_sandbox.runtimes.container import RuntimeFailure
from akash_sandbox.runtimes.proctree import identify
from akash_sandbox.workloads.throttle import Throttle
from tests.sandbox.workloads.bench import Bench, get, running, until, until_state

_ROW = "36 35 0:30 / {place} rw,relatime shared:9 - {kind} {kind} {options}"


def table(*rows: tuple[str, str, str]) -> str:
    """Return the text of proc_pid_mountinfo(5) for mounts of kind, place and options."""
    return "\n".join(
        _ROW.format(kind=kind, place=place, options=options) for kind, place, options in rows
    )


def test_version_1_is_preferred_in_the_hybrid() -> None:
    found = cgroup.find(
        "s",
        table(
            ("cgroup", "/c/cpu,cpuacct", "rw,cpu,cpuacct"),
            ("cgroup", "/c/memory", "rw,memory"),
            ("cgroup", "/c/pids", "rw,pids"),
            ("cgroup2", "/c/unified", "rw,nsdelegate"),
        ),
    )
    assert found is not None
    assert not found.unified
    assert found.folders("a") == (
        Path("/c/cpu,cpuacct/akash-sandbox/s/a"),
        Path("/c/memory/akash-sandbox/s/a"),
        Path("/c/pids/akash-sandbox/s/a"),
    )


def test_version_2_is_one_hierarchy() -> None:
    found = cgroup.find("s", table(("cgroup2", "/c", "rw")))
    assert found is not None
    assert found.unified
    assert found.folders("a") == (Path("/c/akash-sandbox/s/a"),)


def test_none_are_found_where_none_are_mounted() -> None:
    assert cgroup.find("s", table(("tmpfs", "/tmp", "rw"))) is None


def test_version_2_limits_are_written_as_the_kernel_reads_them(tmp_path: Path) -> None:
    groups = Cgroups(scope="s", unified=True, mounts=_mounts_at(tmp_path))
    (folder,) = groups.folders("a")
    folder.mkdir(parents=True)
    for name in ("memory.max", "pids.max", "cpu.max"):
        (folder / name).touch()
    groups.create("a", cpu_millis=1500, memory_bytes=1 << 30)
    assert (folder / "memory.max").read_text() == str(1 << 30)
    assert (folder / "cpu.max").read_text() == "150000 100000"
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory +cpu +pids"


def test_a_folder_that_is_no_control_group_is_not_taken_for_one(tmp_path: Path) -> None:
    groups = Cgroups(scope="s", unified=False, mounts=_mounts_at(tmp_path))
    assert not groups.usable()
    assert not groups.set_cpu("a", 1000)


@pytest.mark.parametrize("name", ["unshare", "process"])
async def test_memory_is_limited_and_said_so_without_control_groups(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, usable: frozenset[str], name: str
) -> None:
    if name not in usable:
        pytest.skip(f"{name} does not work on this machine")
    monkeypatch.setattr(cgroup, "find", lambda _: None)
    supervisor = await bench.supervisor(name)  # type: ignore[arg-type]
    assert "CPU not limited" in supervisor.isolation
    await supervisor.deploy(bench.ask(memory_bytes=64 << 20))
    external = await running(supervisor)
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        await get(external, f"/eat?bytes={400 << 20}")
    await until_state(supervisor, "tenant-1", lambda state: state.restarts >= 1)
    await running(supervisor)


async def test_without_control_groups_a_slow_tenant_is_stopped_now_and_then() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
    throttle = Throttle("a", 1000, None)
    throttle.percent = 10
    await throttle.start(process.pid)

    async def stopped() -> bool:
        return _state_of(process.pid) == "T"

    await until(stopped)
    await throttle.end()
    assert _state_of(process.pid) != "T"
    process.kill()
    await process.wait()


async def test_the_named_runtime_is_not_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailure, match="runtime runc is not installed or does not work"):
        await choose("runc", tmp_path, None)


async def test_auto_always_finds_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (await choose("auto", tmp_path, None)).name == "process"


async def test_a_process_is_not_taken_for_a_later_one() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "60")
    known = identify(process.pid)
    assert known is not None
    assert known.alive()
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    assert not known.alive()


def _mounts_at(place: Path) -> tuple[tuple[str, Path], ...]:
    return tuple((name, place) for name in ("memory", "cpu", "pids"))


def _state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
