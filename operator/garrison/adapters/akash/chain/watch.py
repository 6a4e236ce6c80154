"""All deployments of an account, read together once per block at most.

Two lists answer for any number of leases: the open deployments and the active leases. Only a deployment
that is open without an active lease, or is not in the list, is asked about alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from garrison.adapters.akash.answers import LeaseEntry
from garrison.adapters.akash.chain.answers import DEPLOYMENT, ChainDeployment, understood
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.pace import Pace
from garrison.adapters.akash.chain.readings import deployment_of, leases_of
from garrison.adapters.akash.reading import priced
from garrison.errors import NotFoundError
from garrison.ports.market import Deployment

DEPLOYMENTS = "/akash/deployment/v1beta4/deployments"
LEASES = "/akash/market/v1beta5/leases/list"
KEEP_SECONDS = 3.0
"""Half a block of the public networks; where blocks are faster, half of one of those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    height: int
    read_at: float
    deployments: Mapping[str, ChainDeployment]
    leases: Mapping[str, Sequence[LeaseEntry]]


class Watch:
    """Answers for one owner's deployments."""

    def __init__(
        self, *, nodes: Nodes, pace: Pace, owner: str, keep_seconds: float = KEEP_SECONDS
    ) -> None:
        self._nodes = nodes
        self._pace = pace
        self._owner = owner
        self._keep = keep_seconds
        self._snapshot: _Snapshot | None = None
        self._changes = 0
        self._lock = asyncio.Lock()

    def forget(self) -> None:
        """Read again next time: something was changed. What is being read now is not kept either."""
        self._snapshot = None
        self._changes += 1

    async def one(self, number: str) -> Deployment | None:
        """Return a deployment in whatever state, None when the chain does not know it."""
        snapshot = await self._current()
        entry, leases = snapshot.deployments.get(number), snapshot.leases.get(number, ())
        height = snapshot.height
        if entry is None or not leases:
            height = (await self._nodes.head()).height
            entry = await self._entry(number)
            leases = await self._leases(number)
        if entry is None:
            return None
        blocks = await self._pace.blocks_per_hour()
        return deployment_of(entry, leases, height=height, blocks=blocks)

    async def all(self) -> Sequence[Deployment]:
        """Return every open deployment with its active leases, those for other coins left out."""
        snapshot = await self._current()
        blocks = await self._pace.blocks_per_hour()
        return tuple(
            deployment_of(
                entry,
                priced(snapshot.leases.get(number, ())),
                height=snapshot.height,
                blocks=blocks,
            )
            for number, entry in snapshot.deployments.items()
        )

    async def _current(self) -> _Snapshot:
        async with self._lock:
            now = asyncio.get_running_loop().time()
            known, changes = self._snapshot, self._changes
            if known is not None and now - known.read_at <= await self._kept_for():
                return known
            fresh = await self._renewed(known, now)
            if changes == self._changes:
                self._snapshot = fresh
            return fresh

    async def _renewed(self, known: _Snapshot | None, now: float) -> _Snapshot:
        """Read it again, unless no block was made since: nothing changes between two."""
        if known is not None and await self._nodes.newest() == known.height:
            return replace(known, read_at=now)
        return await self._read(now)

    async def _kept_for(self) -> float:
        seconds = await self._pace.seconds()
        return self._keep if seconds is None else min(self._keep, float(seconds) / 2)

    async def _read(self, now: float) -> _Snapshot:
        head = await self._nodes.head()
        filters = {"filters.owner": self._owner, "filters.state": "active"}
        entries = await self._nodes.pages(f"{DEPLOYMENTS}/list", filters, "deployments")
        items = await self._nodes.pages(LEASES, filters, "leases")
        deployments = [self._understood(each) for each in entries]
        return _Snapshot(
            height=head.height,
            read_at=now,
            deployments={
                each.deployment.id.dseq: each
                for each in deployments
                if each.deployment.id.owner == self._owner and each.deployment.state == "active"
            },
            leases=leases_of(items, self._owner),
        )

    async def _entry(self, number: str) -> ChainDeployment | None:
        params = {"id.owner": self._owner, "id.dseq": number}
        try:
            return self._understood(await self._nodes.get(f"{DEPLOYMENTS}/info", params))
        except NotFoundError:
            return None

    async def _leases(self, number: str) -> Sequence[LeaseEntry]:
        params = {"filters.owner": self._owner, "filters.dseq": number}
        items = await self._nodes.pages(LEASES, params, "leases")
        return leases_of(items, self._owner).get(number, ())

    def _understood(self, value: Any) -> ChainDeployment:
        return understood(DEPLOYMENT, value, "a deployment")
