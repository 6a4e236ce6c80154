"""runc and crun, driven with a bundle: own namespaces, dropped capabilities, cgroup limits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from akash_sandbox.runtimes.capabilities import KEPT
from akash_sandbox.runtimes.cgroup import PERIOD, Cgroups, quota
from akash_sandbox.runtimes.command import attempt, output
from akash_sandbox.runtimes.container import (
    ContainerSpec,
    RuntimeFailure,
    limits_in_words,
    tail,
)
from akash_sandbox.runtimes.rootfs import discard, prepare, unmount_below
from akash_sandbox.runtimes.seccomp import profile

_START_SECONDS = 20.0
_POLL_SECONDS = 0.005
_GREATEST_LIMIT = 20_000
_CAPABILITIES = [f"CAP_{name}" for name in KEPT]
# crun refuses the hybrid of both versions: it gets a view in which only version 1 is mounted.
_WITHOUT_UNIFIED = (
    "unshare",
    "--mount",
    "sh",
    "-c",
    '! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified; exec "$@"',
    "sh",
)
_log = logging.getLogger(__name__)
_MASKED = ("acpi", "asound", "kcore", "keys", "latency_stats", "timer_list", "sched_debug", "scsi")
_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")


class OciRuntime:
    """An OCI runtime on PATH."""

    own_network = True
    joins_network = True
    seccomp = True

    def __init__(self, program: str, folder: Path, cgroups: Cgroups | None) -> None:
        self.name = program
        self.isolation = (
            f"{program}: own pid, mount, network, ipc and uts namespaces, default capabilities, "
            "no new privileges, the seccomp profile of the provider's machine; "
            f"{limits_in_words(limited=cgroups is not None)}"
        )
        self._folder = folder
        self._state = folder / program
        self._cgroups = cgroups

    async def usable(self) -> bool:
        """Return whether it works on this machine, tried with the machine's own files."""
        if self._cgroups is None or os.geteuid() != 0:
            return False
        folder = self._folder / "probe"
        root = folder / "rootfs"
        await asyncio.to_thread(root.mkdir, parents=True, exist_ok=True)
        content = bundle(_probe(folder), root, self._cgroups)
        content["root"]["readonly"] = True
        await asyncio.to_thread(_write_bundle, folder, json.dumps(content))
        try:
            # Not "/" itself: a runtime cannot pivot away from the root it has.
            await output(["mount", "--bind", "/", str(root)])
            await output([*self._argv(), "run", "--bundle", str(folder), "probe"])
        except RuntimeFailure as error:
            _log.debug("probe: %s", error)
            return False
        finally:
            await attempt([*self._argv(), "delete", "--force", "probe"])
            await unmount_below(folder)
        return True

    async def start(self, spec: ContainerSpec) -> OciContainer:
        """Start a container in the foreground of its own runtime process; raises RuntimeFailure."""
        if self._cgroups is None:
            raise RuntimeFailure(f"{self.name}: no control groups can be made on this machine")
        root = await prepare(spec.rootfs, spec.folder, spec.hostname, spec.nameserver)
        pid_file = spec.folder / "pid"
        content = json.dumps(bundle(spec, root, self._cgroups))
        await asyncio.to_thread(_write_bundle, spec.folder, content)
        argv = [*self._argv(), "run", "--bundle", str(spec.folder), "--pid-file", str(pid_file)]
        with spec.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *argv,
                spec.id,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        container = OciContainer(self._argv(), spec, process, self._cgroups)
        try:
            container.pid = await self._started(process, pid_file, spec)
        except BaseException:
            await asyncio.shield(container.stop(0))
            raise
        return container

    async def _started(
        self, process: asyncio.subprocess.Process, pid_file: Path, spec: ContainerSpec
    ) -> int:
        try:
            async with asyncio.timeout(_START_SECONDS):
                while (pid := await asyncio.to_thread(_read_pid, pid_file)) is None:
                    if process.returncode is not None:
                        raise RuntimeFailure(
                            f"{self.name} exited with {process.returncode}: {tail(spec.log)}"
                        )
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise RuntimeFailure(f"{self.name}: no start within {_START_SECONDS} s") from None
        return pid

    def _argv(self) -> list[str]:
        return _argv(self.name, self._state)


class OciContainer:
    """A container and the runtime process in whose foreground it runs."""

    def __init__(
        self,
        argv: list[str],
        spec: ContainerSpec,
        process: asyncio.subprocess.Process,
        cgroups: Cgroups,
    ) -> None:
        self.pid = process.pid
        self._cgroups = cgroups
        self._argv = argv
        self._spec = spec
        self._process = process

    async def wait(self) -> int:
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def stop(self, grace: float) -> None:
        """Send TERM, after ``grace`` seconds KILL; then delete the container and its files."""
        if self._process.returncode is None and grace > 0:
            await attempt([*self._argv, "kill", self._spec.id, "TERM"])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._process.wait()
        await attempt([*self._argv, "delete", "--force", self._spec.id])
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._cgroups.remove(self._spec.id)
        await discard(self._spec.folder)


async def clean(folder: Path) -> None:
    """Delete every container that an earlier process left, whichever program ran it."""
    for program in ("runc", "crun"):
        state = folder / program
        if await asyncio.to_thread(state.exists):
            for name in (await output([*_argv(program, state), "list", "-q"])).split():
                await attempt([*_argv(program, state), "delete", "--force", name])


def bundle(spec: ContainerSpec, root: Path, cgroups: Cgroups) -> dict[str, Any]:
    """Return the OCI runtime configuration of a container."""
    seccomp = profile(spec.confinement)
    return {
        "ociVersion": "1.0.2",
        "process": _process(spec),
        "root": {"path": str(root), "readonly": False},
        "hostname": spec.hostname,
        "mounts": _mounts(),
        "linux": {
            "cgroupsPath": cgroups.path(spec.id),
            "resources": _limits(spec),
            "namespaces": _namespaces(spec),
            "maskedPaths": [*(f"/proc/{name}" for name in _MASKED), "/sys/firmware"],
            "readonlyPaths": [f"/proc/{name}" for name in _READ_ONLY],
            **({"seccomp": seccomp} if seccomp is not None else {}),
        },
    }


def _namespaces(spec: ContainerSpec) -> list[dict[str, str]]:
    network = {"path": str(spec.network)} if spec.network is not None else {}
    own = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
    return [*own, {"type": "network", **network}]


def _process(spec: ContainerSpec) -> dict[str, Any]:
    kept = _CAPABILITIES if spec.uid == 0 else []
    sets = {"bounding": _CAPABILITIES, "effective": kept, "permitted": kept}
    limits = [
        {"type": kind, "hard": _GREATEST_LIMIT, "soft": _GREATEST_LIMIT}
        for kind in ("RLIMIT_NOFILE", "RLIMIT_NPROC")
    ]
    return {
        "terminal": False,
        "user": {"uid": spec.uid, "gid": spec.gid},
        "args": list(spec.argv),
        "env": [f"{name}={value}" for name, value in spec.env],
        "cwd": spec.cwd,
        "capabilities": sets,
        "rlimits": limits,
        "noNewPrivileges": True,
    }


def _limits(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "devices": [{"allow": False, "access": "rwm"}],
        "memory": {"limit": spec.memory},
        "cpu": {"period": PERIOD, "quota": quota(spec.cpu)},
        "pids": {"limit": 4096},
    }


def _mounts() -> list[dict[str, Any]]:
    guarded = ["nosuid", "noexec", "nodev"]
    return [
        _mount("/proc", "proc", []),
        _mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts",
            "devpts",
            ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        ),
        _mount("/dev/shm", "tmpfs", [*guarded, "mode=1777", "size=65536k"]),  # noqa: S108
        _mount("/dev/mqueue", "mqueue", guarded),
        _mount("/sys", "sysfs", [*guarded, "ro"]),
    ]


def _mount(target: str, kind: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": kind, "options": options}


def _argv(program: str, state: Path) -> list[str]:
    argv = [program, "--root", str(state)]
    return argv if program != "crun" else [*_WITHOUT_UNIFIED, *argv]


def _probe(folder: Path) -> ContainerSpec:
    return ContainerSpec(
        id="probe",
        rootfs=Path("/"),
        folder=folder,
        argv=("/bin/true",),
        env=(),
        cwd="/",
        uid=0,
        gid=0,
        cpu=1000,
        memory=1 << 28,
        hostname="probe",
        log=folder / "log",
    )


def _write_bundle(folder: Path, content: str) -> None:
    (folder / "pid").unlink(missing_ok=True)
    (folder / "config.json").write_text(content)


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
