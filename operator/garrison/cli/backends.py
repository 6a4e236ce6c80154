"""The backends of a workload as ``garrison connect`` sees them: read every second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from garrison.api.lease import parse_lease
from garrison.api.meta import LABEL_WORKLOAD, LEASE
from garrison.core.traffic import Backend, backends, standing
from garrison.errors import GarrisonError
from garrison.ports.identity import Peer
from garrison.ports.kube import Kube

log = logging.getLogger("garrison.connect")

PERIOD = 1.0


class Follower:
    """Keeps the newest list; a failing API server leaves the last one in force."""

    def __init__(
        self, kube: Kube, namespace: str, workload: str, changed: Callable[[str], None]
    ) -> None:
        self._kube = kube
        self._namespace = namespace
        self._workload = workload
        self._changed = changed
        self._known: tuple[Backend, ...] | None = None
        self._standing: frozenset[tuple[str, Peer | None]] = frozenset()
        self._others: list[Callable[[], Awaitable[None]]] = []

    @property
    def ready(self) -> tuple[Backend, ...]:
        """The backends that take new requests."""
        return tuple(each for each in self._known or () if not each.draining)

    def stands(self, backend: Backend) -> bool:
        """Return whether a backend of before may finish its answers."""
        return (backend.lease, backend.peer) in self._standing

    def also(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Refresh something else each time, too."""
        self._others.append(refresh)

    async def refresh(self) -> None:
        """Read the leases once. Raises what the API server answers."""
        raws = await self._kube.list(
            LEASE, namespace=self._namespace, labels={LABEL_WORKLOAD: self._workload}
        )
        leases = [parse_lease(raw) for raw in raws]
        self._standing = standing(leases)
        found = backends(leases)
        if found != self._known:
            self._known = found
            self._changed(self.told())

    def told(self) -> str:
        """Return the backends in words."""
        if not self._known:
            return "no replica is Ready; requests wait for one"
        return ", ".join(
            f"{each.lease} at {each.host}:{each.port}{' (draining)' if each.draining else ''}"
            for each in self._known
        )

    async def follow(self) -> None:
        """Refresh until cancelled."""
        while True:
            await asyncio.sleep(PERIOD)
            try:
                await self.refresh()
                for each in self._others:
                    await each()
            except GarrisonError as error:
                log.warning("cannot read the leases: %s", error)
