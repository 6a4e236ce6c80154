"""What the market asks of whatever runs its leases' containers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from akash_sandbox.hostility import Hostility
from akash_sandbox.runtimes.seccomp import Confinement


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadAsk:
    """One service of one lease. CPU in thousandths of a core, memory in bytes.

    ``id`` is safe as a file name and unique per lease, ``image`` a reference by digest, ``ports``
    the container ports to forward, ``confinement`` what the provider's machine forbids, ``host`` where
    the forwarded ports listen, the sandbox's public host when empty, ``provider`` the name of its
    provider, ``login`` the user and password for the image's registry, empty when there is none.
    """

    id: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    ports: tuple[int, ...]
    cpu_millis: int
    memory_bytes: int
    confinement: Confinement = "unconfined"
    host: str = ""
    provider: str = ""
    login: tuple[str, str] = field(default=("", ""), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadState:
    """How a workload is. ``message`` says why it is not running, ``""`` otherwise.

    ``forwarded`` pairs a container port with the external port on the sandbox's public host.
    ``egress_interface`` is its end of the test network, "" where it has no way out.
    """

    running: bool
    restarts: int
    message: str
    forwarded: tuple[tuple[int, int], ...]
    egress_interface: str = ""


class NoProgramError(Exception):
    """The workload has no such program, or does not run now."""


class Session(Protocol):
    """One command that runs inside a workload."""

    def output(self) -> AsyncIterator[tuple[bool, bytes]]:
        """Yield what it writes, with whether that is its standard error; ends when it ended."""
        ...

    async def feed(self, data: bytes, /) -> None:
        """Write to its standard input."""
        ...

    def resize(self, columns: int, rows: int, /) -> None:
        """Change its terminal's size, if it has one."""
        ...

    async def wait(self) -> int:
        """Return its exit status."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


class Workloads(Protocol):
    """Runs workloads and forwards their ports; external ports stay the same across restarts."""

    @property
    def isolation(self) -> str:
        """Say in words how tenants are kept apart."""
        ...

    @property
    def egress_namespace(self) -> str:
        """The network namespace where the containers' way out ends, "" where they have none."""
        ...

    async def open(self) -> None:
        """Clean up what an earlier run left."""
        ...

    async def deploy(self, ask: WorkloadAsk) -> None:
        """Start or change a workload; idempotent. Returns at once; pulls and starts in the background.

        A workload that exits is started again with back-off.
        """
        ...

    async def remove(self, workload: str, /) -> None:
        """End a workload for good and give its ports back; an unknown id is done already."""
        ...

    async def restart(self, workload: str, /) -> None:
        """Stop a workload's container and start it again at once."""
        ...

    def state(self, workload: str, /) -> WorkloadState | None:
        """Return how a workload is, None for an unknown id."""
        ...

    def log(self, workload: str, /) -> Path | None:
        """Return the file that a workload's output goes to, None for an unknown id."""
        ...

    async def execute(self, workload: str, argv: Sequence[str], /, *, tty: bool) -> Session:
        """Start a command inside a workload; raises NoProgramError."""
        ...

    async def suspend(self, workload: str, /, suspended: bool) -> None:
        """Stop a workload as if its provider were dead: its ports refuse; or start it again."""
        ...

    async def shape(
        self, workload: str, /, *, latency_ms: int, bytes_per_second: int, speed_percent: int
    ) -> None:
        """Slow a workload's network and processor; 0 ms, 0 bytes/s and 100 % mean untouched."""
        ...

    async def turn(self, workload: str, /, hostility: Hostility) -> None:
        """Let a workload's provider behave like this from now on."""
        ...

    async def swap(self, workload: str, path: str, content: bytes, /) -> None:
        """Overwrite a file inside a running workload; raises NoProgramError."""
        ...

    async def close(self) -> None:
        """Stop every workload of this process; what is kept on disk stays."""
        ...
