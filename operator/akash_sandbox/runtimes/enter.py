"""Starting a command inside a running container."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from akash_sandbox.images.unpack import resolve
from akash_sandbox.runtimes.container import Container, ContainerSpec, Runtime
from akash_sandbox.runtimes.launch import clean_environment
from akash_sandbox.runtimes.proctree import tree

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ROOT = "rootfs"
_NAMESPACES = ("--mount", "--net", "--ipc", "--uts", "--pid", "--root")


def entering(
    runtime: Runtime, container: Container, spec: ContainerSpec, argv: Sequence[str]
) -> list[str] | None:
    """Return the command line that runs ``argv`` in a container, None when it has no such program.

    The command runs as root of the container and outside of its CPU and memory limits.
    """
    pid = _inside(container.pid, spec)
    root = Path(f"/proc/{pid}/root") if runtime.own_network else spec.folder / ROOT
    program = _program(root, spec, argv[0])
    if program is None:
        return None
    if not runtime.own_network:
        return [*clean_environment(spec.env, f"--chdir={root}"), str(program), *argv[1:]]
    nsenter = shutil.which("nsenter") or "nsenter"
    inside = "/" + str(program.relative_to(root))
    user = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
    target = ("--target", str(pid), *user, *_NAMESPACES, f"--wd={root}")
    entered = [nsenter, *target, "--"]
    return [*clean_environment(spec.env), *entered, inside, *argv[1:]]


def _inside(pid: int, spec: ContainerSpec) -> int:
    """Return a process that has the container's root: what only surrounds a chroot has this one's."""
    for each in tree(pid):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{each}/root").readlink() == spec.folder / ROOT:
                return each
    return pid


def _program(root: Path, spec: ContainerSpec, name: str) -> Path | None:
    folders = [""] if "/" in name else dict(spec.env).get("PATH", _PATH).split(":")
    for folder in folders:
        found = resolve(root, [part for part in f"{folder}/{name}".split("/") if part])
        if found.is_file():
            return found
    return None
