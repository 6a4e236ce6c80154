"""Control groups of containers, version 1, version 2 or the hybrid, whichever is mounted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

PERIOD = 100_000
"""Microseconds in which a CPU quota is counted."""
_ROOT = "akash-sandbox"
_CONTROLLERS = ("memory", "cpu", "pids")
_GREATEST_PIDS = 4096
_REMOVE_TRIES = 100
_REMOVE_PAUSE_SECONDS = 0.02


def quota(cpu_millis: int) -> int:
    """Return the microseconds of CPU time per period that this share of cores amounts to."""
    return max(1000, cpu_millis * PERIOD // 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cgroups:
    """The control groups of one sandbox, one per container, named after it.

    ``mounts`` maps a controller to its hierarchy; in version 2 all three are the same one. ``others``
    are hierarchies without limits of ours: an OCI runtime makes a container's group there too.
    """

    scope: str
    unified: bool
    mounts: tuple[tuple[str, Path], ...]
    others: tuple[Path, ...] = ()

    def path(self, name: str) -> str:
        """Return a container's group, relative to each hierarchy."""
        return f"/{_ROOT}/{self.scope}/{name}"

    def folders(self, name: str) -> tuple[Path, ...]:
        """Return a container's group in each hierarchy."""
        return tuple(dict.fromkeys(self._folder(mount, name) for _, mount in self.mounts))

    def create(self, name: str, *, cpu_millis: int, memory_bytes: int) -> tuple[Path, ...]:
        """Make a container's group with its limits and return it in each hierarchy.

        Raises OSError when a limit is refused.
        """
        for folder in self.folders(name):
            folder.mkdir(parents=True, exist_ok=True)
            if self.unified:
                self._delegate(folder)
        for file, value in self._limits(memory_bytes).items():
            self._write(name, file, value)
        self.set_cpu(name, cpu_millis)
        return self.folders(name)

    def set_cpu(self, name: str, cpu_millis: int) -> bool:
        """Change a container's CPU quota; return False when it has no group."""
        try:
            if self.unified:
                self._write(name, "cpu.max", f"{quota(cpu_millis)} {PERIOD}")
            else:
                self._write(name, "cpu.cfs_period_us", str(PERIOD))
                self._write(name, "cpu.cfs_quota_us", str(quota(cpu_millis)))
        except OSError:
            return False
        return True

    async def remove(self, name: str) -> None:
        """Kill what is left in a container's group and remove the group."""
        for folder in self.folders(name):
            await _remove(folder)

    async def clear(self) -> None:
        """Remove every group of this sandbox."""
        for mount in (*(place for _, place in self.mounts), *self.others):
            scope = mount / _ROOT / self.scope
            for folder in _subfolders(scope):
                await _remove(folder)
            for folder in (scope, scope.parent):
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def usable(self) -> bool:
        """Return whether a group with limits can be made here."""
        name = "probe"
        try:
            self.create(name, cpu_millis=1000, memory_bytes=1 << 30)
        except OSError:
            return False
        finally:
            for folder in self.folders(name):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        return True

    def _limits(self, memory_bytes: int) -> dict[str, str]:
        memory = "memory.max" if self.unified else "memory.limit_in_bytes"
        return {memory: str(memory_bytes), "pids.max": str(_GREATEST_PIDS)}

    def _delegate(self, folder: Path) -> None:
        controllers = " ".join(f"+{name}" for name in _CONTROLLERS)
        for parent in reversed(list(folder.parents)[:3]):
            (parent / "cgroup.subtree_control").write_text(controllers)

    def _write(self, name: str, file: str, value: str) -> None:
        mount = dict(self.mounts)[file.partition(".")[0]]
        # Never creates: a plain file on a folder that is no control group would hide the fault.
        descriptor = os.open(self._folder(mount, name) / file, os.O_WRONLY)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)

    def _folder(self, mount: Path, name: str) -> Path:
        return mount / _ROOT / self.scope / name


def find(scope: str, mountinfo: str | None = None) -> Cgroups | None:
    """Return the groups that can be used here, None where limits cannot be set.

    ``mountinfo`` is the text of proc_pid_mountinfo(5), read when not given.
    """
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    found = _version_1(text, scope) or _version_2(text, scope)
    return found if found is not None and (mountinfo is not None or found.usable()) else None


def _version_1(text: str, scope: str) -> Cgroups | None:
    mounts: dict[str, Path] = {}
    places: list[Path] = []
    for kind, place, options in _mounts(text):
        if kind == "cgroup":
            mounts.update({name: place for name in _CONTROLLERS if name in options})
        if kind in {"cgroup", "cgroup2"}:
            places.append(place)
    if len(mounts) < len(_CONTROLLERS):
        return None
    others = tuple(each for each in places if each not in mounts.values())
    return Cgroups(scope=scope, unified=False, mounts=tuple(mounts.items()), others=others)


def _version_2(text: str, scope: str) -> Cgroups | None:
    for kind, place, _ in _mounts(text):
        if kind == "cgroup2":
            mounts = tuple((name, place) for name in _CONTROLLERS)
            return Cgroups(scope=scope, unified=True, mounts=mounts)
    return None


def _mounts(text: str) -> list[tuple[str, Path, list[str]]]:
    rows = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        rows.append((kind, Path(left.split(" ")[4]), options.split(" ")[-1].split(",")))
    return rows


def _subfolders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return []


async def _remove(folder: Path) -> None:
    for _ in range(_REMOVE_TRIES):
        if await asyncio.to_thread(_removed, folder):
            return
        await asyncio.sleep(_REMOVE_PAUSE_SECONDS)


def _removed(folder: Path) -> bool:
    """Kill what is in a group and return whether the group is gone."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        _kill(folder)
        return False
    return True


def _kill(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for line in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line), signal.SIGKILL)
