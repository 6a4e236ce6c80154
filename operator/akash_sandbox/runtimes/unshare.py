"""util-linux's ``unshare`` and a chroot: on every machine, also for an ordinary user."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from akash_sandbox.runtimes.capabilities import KEPT
from akash_sandbox.runtimes.cgroup import Cgroups
from akash_sandbox.runtimes.container import ContainerSpec, limits_in_words
from akash_sandbox.runtimes.launch import LaunchedContainer, clean_environment, launch, runs
from akash_sandbox.runtimes.rootfs import prepare

_APART = ("--pid", "--fork", "--kill-child", "--net", "--ipc", "--uts", "--mount")
# $1 is the root and $2 the host name; the program that leaves for the root follows.
_ENTER = """set -eu
root=$1; host=$2; shift 2
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755,size=64k tmpfs "$root/dev"
for name in null zero full random urandom tty; do
  : >"$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir -m 1777 "$root/dev/shm"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/dev/shm"
hostname "$host" || printf %s "$host" >/proc/sys/kernel/hostname || true
exec "$@"
"""


class UnshareRuntime:
    """``unshare`` and ``setpriv`` on PATH."""

    name = "unshare"
    own_network = True
    joins_network = False
    seccomp = False

    def __init__(self, cgroups: Cgroups | None) -> None:
        self._cgroups = cgroups
        self.isolation = (
            "unshare and chroot: own pid, mount, network, ipc and uts namespaces; a hostile root "
            f"could leave the chroot; {_users()}; {limits_in_words(limited=cgroups is not None)}"
        )

    async def usable(self) -> bool:
        """Return whether it works on this machine, tried with the machine's own files."""
        return await runs([*_apart(), "sh", "-c", "mount -t proc proc /proc && exec true"])

    async def start(self, spec: ContainerSpec) -> LaunchedContainer:
        """Start a container; raises RuntimeFailure."""
        root = await prepare(spec.rootfs, spec.folder, spec.hostname)
        argv = [*_apart(), "sh", "-c", _ENTER, "sh", str(root), spec.hostname, *_leave(spec, root)]
        return await launch(spec, argv, self._cgroups, lambda _: True)


def _users() -> str:
    return "the image's user" if os.geteuid() == 0 else "root of an own user namespace only"


def _apart() -> list[str]:
    mapped = () if os.geteuid() == 0 else ("--map-root-user",)
    return ["unshare", *mapped, *_APART]


def _leave(spec: ContainerSpec, root: Path) -> list[str]:
    """Return what turns into the tenant's program inside its root."""
    argv = clean_environment(spec.env)
    if os.geteuid() == 0:
        kept = ",".join(["-all", *(f"+{name.lower()}" for name in KEPT)])
        argv += [_found("setpriv"), f"--bounding-set={kept}", "--inh-caps=-all"]
        argv += ["--no-new-privs"]
    argv += [_found("unshare"), f"--root={root}", f"--wd={spec.cwd}"]
    if os.geteuid() == 0:
        argv += [f"--setuid={spec.uid}", f"--setgid={spec.gid}"]
    return [*argv, "--", *spec.argv]


def _found(program: str) -> str:
    """Return a program's path: once the tenant's environment is set, its PATH applies."""
    return shutil.which(program) or program
