"""Real containers on this machine, as the local market's providers run them."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import socket
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from akash_sandbox.egress.network import EgressNetwork, open_network, remove_network
from akash_sandbox.external_ports import ExternalPorts
from akash_sandbox.hostility import Hostility, StolenBootstrap, stolen
from akash_sandbox.images.store import ImageStore
from akash_sandbox.runtimes import cgroup, launch, oci
from akash_sandbox.runtimes.choice import choose
from akash_sandbox.runtimes.container import Runtime, RuntimeFailure
from akash_sandbox.runtimes.rootfs import unmount_below
from akash_sandbox.seen import Seen
from akash_sandbox.settings import Egress, Registry
from akash_sandbox.settings import Workloads as WorkloadSettings
from akash_sandbox.workload import NoProgramError, Session, WorkloadAsk, WorkloadState
from akash_sandbox.workloads.tenant import Place, Tenant

_LOOPBACK = "127.0.0.1"
_RUNTIMES = "runtimes"
_SCOPE_LENGTH = 12


class Supervisor:
    """Runs workloads from real images in the tightest containers that work here.

    ``folder`` is its own alone; what an earlier process left there is ended by ``open``.
    """

    def __init__(
        self,
        *,
        folder: Path,
        registry: Registry,
        workloads: WorkloadSettings,
        egress: Egress,
        public_host: str,
        seen: Seen | None = None,
    ) -> None:
        self._folder = folder.absolute()
        self._registry = registry
        self._settings = workloads
        self._egress_settings = egress
        self._egress: EgressNetwork | None = None
        self._way_out = ""
        self._host = public_host or _LOOPBACK
        self._seen = seen
        self._place: Place | None = None
        self._lock: BinaryIO | None = None
        self._tenants: dict[str, Tenant] = {}
        self._changing = asyncio.Lock()

    @property
    def isolation(self) -> str:
        """Say in words how tenants are kept apart."""
        if self._place is None:
            return "not open yet"
        return f"{self._place.runtime.isolation}; {self._way_out}"

    @property
    def egress_namespace(self) -> str:
        """The network namespace where the containers' way out ends, "" where they have none."""
        return "" if self._egress is None else self._egress.namespace

    async def open(self) -> None:
        """Choose how to run containers and end those that an earlier process left.

        Raises RuntimeFailure when the configured runtime does not work on this machine or another
        process uses the folder.
        """
        self._lock = await asyncio.to_thread(_locked, self._folder)
        scope = scope_of(self._folder)
        cgroups = await asyncio.to_thread(cgroup.find, scope)
        runtime = await choose(self._settings.runtime, self._folder / _RUNTIMES, cgroups)
        host = await _resolved(self._host)
        place = Place(
            runtime=runtime,
            cgroups=cgroups,
            images=ImageStore(self._cache(), self._registry),
            ports=ExternalPorts(self._folder / "ports.json", host),
            folder=self._folder / "containers",
            host=host,
            settings=self._settings,
            seen=self._seen,
        )
        await self._clean(place)
        await self._open_egress(runtime, f"akash-{scope}")
        self._place = replace(place, egress=self._egress)

    async def _open_egress(self, runtime: Runtime, name: str) -> None:
        await remove_network(name)
        try:
            self._egress = await open_network(name, self._egress_settings, runtime)
        except RuntimeFailure as error:
            self._way_out = f"no way out: {error}"
        else:
            self._way_out = self._egress.in_words

    async def deploy(self, ask: WorkloadAsk) -> None:
        """Start or change a workload in the background; the same ask again changes nothing."""
        async with self._changing:
            known = self._tenants.get(ask.id)
            if known is not None and known.ask == ask:
                return
            if known is not None:
                await known.close()
            tenant = self._tenants[ask.id] = Tenant(
                ask, self._opened(), partial(self._other, ask.id)
            )
            tenant.start()

    async def remove(self, workload: str, /) -> None:
        """End a workload for good and give its ports back; an unknown id is done already."""
        async with self._changing:
            tenant = self._tenants.pop(workload, None)
            if tenant is not None:
                await tenant.close()
            place = self._opened()
            place.ports.forget(f"{workload}/")
            await asyncio.to_thread(shutil.rmtree, place.folder / workload, ignore_errors=True)

    async def restart(self, workload: str, /) -> None:
        """Stop a workload's container and start it again at once."""
        async with self._changing:
            if tenant := self._tenants.get(workload):
                await tenant.restart()

    def state(self, workload: str, /) -> WorkloadState | None:
        """Return how a workload is, None for an unknown id."""
        tenant = self._tenants.get(workload)
        return None if tenant is None else tenant.state()

    def log(self, workload: str, /) -> Path | None:
        """Return the file that a workload's output goes to, None for an unknown id."""
        tenant = self._tenants.get(workload)
        return None if tenant is None else tenant.log

    async def execute(self, workload: str, argv: Sequence[str], /, *, tty: bool) -> Session:
        """Start a command inside a workload; raises NoProgramError."""
        tenant = self._tenants.get(workload)
        if tenant is None:
            raise NoProgramError(f"no workload {workload}")
        return await tenant.execute(argv, tty=tty)

    async def suspend(self, workload: str, /, suspended: bool) -> None:
        """Stop a workload as if its provider were dead: its ports refuse; or start it again."""
        async with self._changing:
            if tenant := self._tenants.get(workload):
                await tenant.suspend(suspended)

    async def shape(
        self, workload: str, /, *, latency_ms: int, bytes_per_second: int, speed_percent: int
    ) -> None:
        """Slow a workload's network and processor; 0 ms, 0 bytes/s and 100 % mean untouched.

        The latency is that of a round trip, the bytes per second are those of each direction.
        """
        async with self._changing:
            if tenant := self._tenants.get(workload):
                await tenant.shape(
                    latency_ms=latency_ms,
                    bytes_per_second=bytes_per_second,
                    speed_percent=speed_percent,
                )

    async def turn(self, workload: str, /, hostility: Hostility) -> None:
        """Let a workload's provider behave like this from now on."""
        async with self._changing:
            if tenant := self._tenants.get(workload):
                await tenant.turn(hostility)

    async def swap(self, workload: str, path: str, content: bytes, /) -> None:
        """Overwrite a file inside a running workload; raises NoProgramError."""
        tenant = self._tenants.get(workload)
        if tenant is None:
            raise NoProgramError(f"no workload {workload}")
        await asyncio.to_thread(tenant.swap, path, content)

    async def close(self) -> None:
        """Stop every workload and leave nothing behind but images and the choice of ports."""
        async with self._changing:
            tenants = list(self._tenants.values())
            self._tenants.clear()
            await asyncio.gather(*(tenant.close() for tenant in tenants))
            if self._place is not None:
                await self._clean(self._place)
                await self._place.images.close()
            if self._egress is not None:
                await self._egress.close()
                self._egress = None
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def _other(self, workload: str) -> StolenBootstrap | None:
        """Return the bootstrap of another tenant, the newest one's."""
        others = [each for id_, each in self._tenants.items() if id_ != workload]
        found = (stolen(each.ask.env) for each in reversed(others))
        return next((each for each in found if each is not None), None)

    def _opened(self) -> Place:
        if self._place is None:
            raise RuntimeError("the supervisor of workloads is used before it is opened")
        return self._place

    def _cache(self) -> Path:
        return Path(self._settings.cache) if self._settings.cache else self._folder / "images"

    async def _clean(self, place: Place) -> None:
        """End every container of this folder and remove all traces but images and ports."""
        await oci.clean(self._folder / _RUNTIMES)
        await asyncio.to_thread(place.folder.mkdir, parents=True, exist_ok=True)
        folders = await asyncio.to_thread(lambda: list(place.folder.iterdir()))
        await launch.clean(folders)
        if place.cgroups is not None:
            await place.cgroups.clear()
        await unmount_below(place.folder)
        await asyncio.to_thread(shutil.rmtree, place.folder, ignore_errors=True)


def _locked(folder: Path) -> BinaryIO:
    """Return the open lock file of a folder; raises RuntimeFailure when another has it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise RuntimeFailure(
            f"{folder} is in use by another process; end it or take another data folder"
        ) from None
    return file


def scope_of(folder: Path) -> str:
    """Return a name for control groups that no other sandbox of this machine has."""
    return hashlib.sha256(os.fsencode(folder)).hexdigest()[:_SCOPE_LENGTH]


async def _resolved(host: str) -> str:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    return str(found[0][4][0])
