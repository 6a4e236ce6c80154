"""What every container runtime is asked for, and what it gives back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from akash_sandbox.runtimes.seccomp import Confinement

_TAIL = 500


class RuntimeFailure(Exception):  # noqa: N818 -- the container, not the program, failed
    """A container did not start; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One container. CPU in thousandths of a core, memory in bytes.

    ``rootfs`` is the image's shared, read-only tree; ``folder`` is the container's own.
    ``network`` is the network namespace to start in, None for a new one; ``nameserver`` is for its
    /etc/resolv.conf.
    """

    id: str
    rootfs: Path
    folder: Path
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    uid: int
    gid: int
    cpu: int
    memory: int
    hostname: str
    log: Path
    confinement: Confinement = "unconfined"
    network: Path | None = None
    nameserver: str = ""


class Container(Protocol):
    """A running container."""

    @property
    def pid(self) -> int:
        """A process inside the container's namespaces, as seen from here."""

    async def wait(self) -> int:
        """Return the exit code, 128 plus the signal's number for a signal."""

    async def stop(self, grace: float) -> None:
        """Ask it to end, insist after ``grace`` seconds, and remove its traces."""


class Runtime(Protocol):
    """Starts containers."""

    @property
    def name(self) -> str: ...

    @property
    def isolation(self) -> str:
        """What separates the workload from this machine, in words."""

    @property
    def own_network(self) -> bool:
        """Whether every container has a network namespace of its own."""

    @property
    def joins_network(self) -> bool:
        """Whether it can start a container in a network namespace made before."""

    @property
    def seccomp(self) -> bool:
        """Whether it can apply a seccomp profile."""

    async def usable(self) -> bool:
        """Return whether it works on this machine, by trying."""

    async def start(self, spec: ContainerSpec) -> Container:
        """Return the container once it runs; raises RuntimeFailure."""


def limits_in_words(*, limited: bool) -> str:
    """Say which limits hold."""
    if limited:
        return "memory, CPU and process limits by control groups"
    return "memory limited per process only, CPU not limited: no control groups can be made here"


def tail(log: Path) -> str:
    """Return the end of a container's output."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            return file.read().decode(errors="replace").strip() or "no output"
    except OSError:
        return "no output"
