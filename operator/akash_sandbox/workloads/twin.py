"""A second container from one order, as a provider runs it that replays a bootstrap elsewhere."""

from __future__ import annotations

import asyncio
import shutil
import socket
from dataclasses import replace

from akash_sandbox.egress.network import RESOLVER, Cable, EgressNetwork
from akash_sandbox.runtimes.container import Container, ContainerSpec, Runtime, RuntimeFailure
from akash_sandbox.workloads.door import Door, opened


class Twin:
    """Same image, command and environment; own name, file system and network."""

    def __init__(self, spec: ContainerSpec, runtime: Runtime, egress: EgressNetwork | None) -> None:
        name = f"{spec.id}-twin"
        folder = spec.folder.with_name(name)
        self._spec = replace(
            spec, id=name, hostname="twin", folder=folder, log=folder / "log", network=None
        )
        self._runtime = runtime
        self._egress = egress
        self._cable: Cable | None = None
        self._container: Container | None = None
        self._door: Door | None = None

    async def start(self) -> None:
        """Start the container; raises RuntimeFailure or OSError."""
        if not self._runtime.own_network:
            raise RuntimeFailure(
                f"{self._runtime.name} gives containers no network of their own, so a second one "
                "cannot have the same ports; install runc"
            )
        await asyncio.to_thread(self._spec.folder.mkdir, parents=True, exist_ok=True)
        spec = self._spec
        if self._egress is not None:
            self._cable = await self._egress.attach()
            spec = replace(spec, network=self._cable.namespace, nameserver=str(RESOLVER))
        self._container = await self._runtime.start(spec)
        self._door = await opened(self._container.pid)

    async def connect(self, port: int) -> socket.socket:
        """Return a socket that is connected to a port; raises OSError."""
        if self._door is None:
            raise ConnectionRefusedError("the second container does not run")
        return await self._door.connect(port)

    async def stop(self) -> None:
        """End it and leave nothing."""
        if self._door is not None:
            await self._door.close()
        if self._container is not None:
            await self._container.stop(0)
        if self._cable is not None and self._egress is not None:
            await self._egress.detach(self._cable)
        await asyncio.to_thread(shutil.rmtree, self._spec.folder, ignore_errors=True)
