"""runc and crun, driven with a bundle: own namespaces, dropped capabilities, cgroup limits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from akash_sandbox.runtimes.command import attempt, output
from akash_sandbox.runtimes.container import ContainerSpec, RuntimeFailure
from akash_sandbox.runtimes.rootfs import discard, prepare

_START_SECONDS = 20.0
_POLL_SECONDS = 0.005
_PERIOD = 100_000
_GREATEST_LIMIT = 20_000
# Docker's and containerd's default set, as a real provider's pods have it.
_CAPABILITIES = [
    f"CAP_{name}"
    for name in (
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    )
]
_MASKED = ("acpi", "asound", "kcore", "keys", "latency_stats", "timer_list", "sched_debug", "scsi")
_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")


class OciRuntime:
    """An OCI runtime on PATH."""

    own_network = True

    def __init__(self, program: str, folder: Path) -> None:
        self.name = program
        self.isolation = (
            f"{program}: own pid, mount, network, ipc and uts namespaces, default capabilities, "
            "cgroup limits"
        )
        self._state = folder / program

    async def start(self, spec: ContainerSpec) -> OciContainer:
        """Start a container in the foreground of its own runtime process."""
        root = await prepare(spec.rootfs, spec.folder)
        pid_file = spec.folder / "pid"
        pid_file.unlink(missing_ok=True)
        (spec.folder / "config.json").write_text(json.dumps(bundle(spec, root)))
        argv = [*self._argv(), "run", "--bundle", str(spec.folder), "--pid-file", str(pid_file)]
        with spec.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *argv, spec.id, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        pid = await self._started(process, pid_file, spec)
        return OciContainer(self._argv(), spec, process, pid)

    async def clean(self) -> None:
        """Delete every container of this state folder."""
        if not self._state.exists():
            return
        for name in (await output([*self._argv(), "list", "-q"])).split():
            await attempt([*self._argv(), "delete", "--force", name])

    async def _started(
        self, process: asyncio.subprocess.Process, pid_file: Path, spec: ContainerSpec
    ) -> int:
        ended = asyncio.ensure_future(process.wait())
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not ended.done():
                    with contextlib.suppress(OSError, ValueError):
                        return int(pid_file.read_text())
                    await asyncio.wait([ended], timeout=_POLL_SECONDS)
        except TimeoutError:
            process.kill()
            raise RuntimeFailure(f"{self.name}: no start within {_START_SECONDS} s") from None
        finally:
            ended.cancel()
        with contextlib.suppress(OSError, ValueError):
            return int(pid_file.read_text())
        await discard(spec.folder)
        raise RuntimeFailure(f"{self.name} exited with {process.returncode}: {_tail(spec.log)}")

    def _argv(self) -> list[str]:
        return [self.name, "--root", str(self._state)]


class OciContainer:
    """A container and the runtime process in whose foreground it runs."""

    def __init__(
        self, argv: list[str], spec: ContainerSpec, process: asyncio.subprocess.Process, pid: int
    ) -> None:
        self.pid = pid
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
        await discard(self._spec.folder)


def bundle(spec: ContainerSpec, root: Path) -> dict[str, Any]:
    """Return the OCI runtime configuration of a container."""
    return {
        "ociVersion": "1.0.2",
        "process": _process(spec),
        "root": {"path": str(root), "readonly": False},
        "hostname": spec.hostname,
        "mounts": _mounts(),
        "linux": {
            "cgroupsPath": f"/akash-sandbox/{spec.id}",
            "resources": _limits(spec),
            "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": [*(f"/proc/{name}" for name in _MASKED), "/sys/firmware"],
            "readonlyPaths": [f"/proc/{name}" for name in _READ_ONLY],
        },
    }


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
        "cpu": {"period": _PERIOD, "quota": max(1000, spec.cpu * _PERIOD // 1000)},
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


def _tail(log: Path) -> str:
    try:
        return log.read_text(errors="replace")[-500:].strip()
    except OSError:
        return "no output"


def installed(program: str) -> bool:
    return shutil.which(program) is not None
