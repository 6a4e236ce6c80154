"""Bootstraps that outlived their lease: somebody took the finalizer that would have removed them."""

from __future__ import annotations

import logging

from garrison.api.meta import LEASE
from garrison.ports.kube import Kube
from garrison.ports.sentinel import Bootstraps

log = logging.getLogger("garrison.leftovers")


class Leftovers:
    """Remembers only what the last sweep suspected: a sweep that breaks off is made good by later ones."""

    def __init__(self, *, bootstraps: Bootstraps, kube: Kube) -> None:
        self._bootstraps = bootstraps
        self._kube = kube
        self._suspects: frozenset[str] = frozenset()

    async def sweep(self) -> None:
        """Delete every bootstrap that had no lease at two sweeps in a row. Raises what the ports raise.

        A lease exists before its bootstrap is made, and its uid never comes again, so one that is
        missing afterwards is gone for good. Two sweeps, because a listing may be some seconds old.
        """
        kept = await self._bootstraps.kept()
        leases = {each["metadata"]["uid"] for each in await self._kube.list(LEASE)} if kept else ()
        lost = [each for each in kept if each.lease not in leases]
        before, self._suspects = self._suspects, frozenset(each.name for each in lost)
        for each in lost:
            if each.name in before:
                log.warning("lease %s is gone without its bootstrap %s", each.lease, each.name)
                await self._bootstraps.discard(each.name)
