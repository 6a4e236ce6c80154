"""bubblewrap: namespaces without a daemon, also for an ordinary user."""

from __future__ import annotations

import os
from pathlib import Path

from akash_sandbox import netns
from akash_sandbox.runtimes.capabilities import KEPT
from akash_sandbox.runtimes.cgroup import Cgroups
from akash_sandbox.runtimes.container import ContainerSpec, limits_in_words
from akash_sandbox.runtimes.launch import LaunchedContainer, launch, runs
from akash_sandbox.runtimes.rootfs import prepare

_PROGRAM = "bwrap"
_APART = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts")
_SYSTEM = ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm")  # noqa: S108 -- inside


class BubblewrapRuntime:
    """The ``bwrap`` on PATH."""

    name = "bubblewrap"
    own_network = True
    joins_network = False
    seccomp = False

    def __init__(self, cgroups: Cgroups | None) -> None:
        self._cgroups = cgroups
        self.isolation = (
            "bubblewrap: own pid, mount, network, ipc and uts namespaces, default capabilities, "
            f"one user id for all files; {limits_in_words(limited=cgroups is not None)}"
        )

    async def usable(self) -> bool:
        """Return whether it works on this machine, tried with the machine's own files."""
        return await runs(
            [_PROGRAM, *_APART, "--die-with-parent", "--ro-bind", "/", "/", *_SYSTEM, "true"]
        )

    async def start(self, spec: ContainerSpec) -> LaunchedContainer:
        root = await prepare(spec.rootfs, spec.folder, spec.hostname)
        # It brings loopback up itself, and fails when somebody else has done so.
        return await launch(spec, _argv(spec, root), self._cgroups, netns.is_up)


def _argv(spec: ContainerSpec, root: Path) -> list[str]:
    argv = [_PROGRAM, *_APART, "--hostname", spec.hostname, "--die-with-parent", "--new-session"]
    argv += ["--bind", str(root), "/", *_SYSTEM, "--chdir", spec.cwd, "--clearenv"]
    if os.geteuid() != 0 or spec.uid != 0:
        argv += ["--unshare-user", "--uid", str(spec.uid), "--gid", str(spec.gid)]
    argv += ["--cap-drop", "ALL"]
    if spec.uid == 0:
        argv += [part for name in KEPT for part in ("--cap-add", f"CAP_{name}")]
    for name, value in spec.env:
        argv += ["--setenv", name, value]
    return [*argv, "--", *spec.argv]
