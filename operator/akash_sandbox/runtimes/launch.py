"""Containers that are processes started by this one, limited by control groups where possible."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from akash_sandbox.runtimes.cgroup import Cgroups
from akash_sandbox.runtimes.command import attempt
from akash_sandbox.runtimes.container import ContainerSpec, RuntimeFailure
from akash_sandbox.runtimes.proctree import Identity, identify, network, send, tree
from akash_sandbox.runtimes.rootfs import discard

_START_SECONDS = 20.0
_POLL_SECONDS = 0.005
_GREATEST_FILES = 20_000
# RLIMIT_DATA counts what a program reserves without using it, as language run times do.
_RESERVED = 128 * 1024**2
# Joins the groups before it becomes the program, so that no moment is unlimited.
_JOIN = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ >"$1"; shift; n=$((n-1)); done; '
_RECORD = "process.json"

Ready = Callable[[int], bool]


class LaunchedContainer:
    """A container whose outermost process is a child of this one."""

    def __init__(
        self, spec: ContainerSpec, process: asyncio.subprocess.Process, cgroups: Cgroups | None
    ) -> None:
        self.pid = process.pid
        self._spec = spec
        self._process = process
        self._cgroups = cgroups

    async def wait(self) -> int:
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def stop(self, grace: float) -> None:
        """Send TERM, after ``grace`` seconds KILL; then remove the group and the files."""
        inside = await asyncio.to_thread(self._inside)
        if self._process.returncode is None and grace > 0:
            send(inside, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._process.wait()
        if self._process.returncode is None:
            send(await asyncio.to_thread(tree, self._process.pid), signal.SIGKILL)
            await self._process.wait()
        send(inside, signal.SIGKILL)
        if self._cgroups is not None:
            await self._cgroups.remove(self._spec.id)
        await discard(self._spec.folder)

    async def enter(self, ready: Ready) -> None:
        """Wait until the container has a network of its own that is ready, or has ended.

        Raises TimeoutError.
        """
        async with asyncio.timeout(_START_SECONDS):
            while self._process.returncode is None:
                if (pid := await asyncio.to_thread(self._within, ready)) is not None:
                    self.pid = pid
                    return
                await asyncio.sleep(_POLL_SECONDS)

    def _inside(self) -> list[int]:
        """Return the tenant's processes; what only surrounds them would not pass TERM on."""
        here = network(self.pid)
        return [pid for pid in tree(self._process.pid) if network(pid) == here]

    def _within(self, ready: Ready) -> int | None:
        mine = network(os.getpid())
        for pid in tree(self._process.pid):
            if network(pid) not in (None, mine) and ready(pid):
                return pid
        return None


async def launch(
    spec: ContainerSpec, argv: Sequence[str], cgroups: Cgroups | None, ready: Ready | None
) -> LaunchedContainer:
    """Start a container's outermost process; raises RuntimeFailure.

    ``ready`` says whether a process's network namespace may be used; None when it has none.
    """
    process = await _spawn(spec, argv, cgroups)
    container = LaunchedContainer(spec, process, cgroups)
    try:
        await asyncio.to_thread(_record, spec.folder, process.pid)
        if ready is not None:
            await container.enter(ready)
    except TimeoutError:
        await asyncio.shield(container.stop(0))
        raise RuntimeFailure(f"{argv[0]}: no start within {_START_SECONDS} s") from None
    except BaseException:
        await asyncio.shield(container.stop(0))
        raise
    return container


async def clean(folders: Sequence[Path]) -> None:
    """End what an earlier run launched for these containers."""
    for folder in folders:
        recorded = await asyncio.to_thread(_recorded, folder)
        if recorded is not None and recorded.alive():
            send(await asyncio.to_thread(tree, recorded.pid), signal.SIGKILL)


def clean_environment(env: Sequence[tuple[str, str]], *options: str) -> list[str]:
    """Return the start of a command line that runs the rest with this environment only."""
    program = shutil.which("env") or "env"
    return [program, "-i", *options, *(f"{name}={value}" for name, value in env)]


async def runs(argv: Sequence[str]) -> bool:
    """Return whether this way to start a program works on this machine."""
    return await attempt(argv, 10)


async def _spawn(
    spec: ContainerSpec, argv: Sequence[str], cgroups: Cgroups | None
) -> asyncio.subprocess.Process:
    joined: list[str] = []
    script = f"ulimit -n {_GREATEST_FILES} 2>/dev/null; "
    if cgroups is None:
        script += f"ulimit -d {(spec.memory + _RESERVED) // 1024}; "
    else:
        groups = cgroups.create(spec.id, cpu_millis=spec.cpu, memory_bytes=spec.memory)
        joined = [str(group / "cgroup.procs") for group in groups]
    script += f'{_JOIN}exec "$@"'
    with spec.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            script,
            "sh",
            str(len(joined)),
            *joined,
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            start_new_session=True,
        )


def _record(folder: Path, pid: int) -> None:
    found = identify(pid)
    if found is not None:
        content = json.dumps({"pid": found.pid, "started": found.started})
        (folder / _RECORD).write_text(content)


def _recorded(folder: Path) -> Identity | None:
    try:
        raw = json.loads((folder / _RECORD).read_text())
        return Identity(pid=int(raw["pid"]), started=str(raw["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
