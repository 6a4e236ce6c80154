"""What is kept beside the operator for leases, and outlived them: somebody took their finalizer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from garrison.api.meta import LEASE
from garrison.ports.kube import Kube
from garrison.ports.logins import KeptLogins
from garrison.ports.sentinel import Bootstraps

log = logging.getLogger("garrison.leftovers")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    what: str
    lease: str
    discard: Callable[[str], Awaitable[None]]
    name: str


class Leftovers:
    """Remembers only what the last sweep suspected: a sweep that breaks off is made good by later ones."""

    def __init__(self, *, bootstraps: Bootstraps, logins: KeptLogins, kube: Kube) -> None:
        self._bootstraps = bootstraps
        self._logins = logins
        self._kube = kube
        self._suspects: frozenset[str] = frozenset()

    async def sweep(self) -> None:
        """Delete every bootstrap and login that had no lease at two sweeps in a row.

        A lease exists before they are made, and its uid never comes again, so one that is missing
        afterwards is gone for good. Two sweeps, because a listing may be some seconds old. Raises what
        the ports raise.
        """
        kept = await self._kept()
        leases = {each["metadata"]["uid"] for each in await self._kube.list(LEASE)} if kept else ()
        lost = [each for each in kept if each.lease not in leases]
        before, self._suspects = self._suspects, frozenset(each.what for each in lost)
        for each in lost:
            if each.what in before:
                log.warning("lease %s is gone without its %s", each.lease, each.what)
                await each.discard(each.name)

    async def _kept(self) -> list[_Kept]:
        found = [
            _Kept(
                what=f"bootstrap {each.name}",
                lease=each.lease,
                discard=self._bootstraps.discard,
                name=each.name,
            )
            for each in await self._bootstraps.kept()
        ]
        found += [
            _Kept(what=f"pull login of {each}", lease=each, discard=self._logins.discard, name=each)
            for each in await self._logins.leases()
        ]
        return found
