"""Bootstraps go with their lease, also where somebody took its finalizer, and no other ever does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from garrison.adapters.memory.kube import MemoryKube
from garrison.api.meta import LEASE, Kind
from garrison.controllers.leftovers import Leftovers
from garrison.errors import UnavailableError
from garrison.ports.kube import Object
from garrison.runtime.engine import RESYNC_SECONDS
from tests.unit.controllers.cluster import NAMESPACE, Cluster, workload

SOON = 4 * RESYNC_SECONDS


async def strip(cluster: Cluster) -> str:
    """Delete the only lease and its finalizer, as kubectl can; returns the name of its bootstrap."""
    (lease,) = await cluster.leases()
    name = lease["metadata"]["name"]
    await cluster.stop()
    kind = cluster.kube._resource(LEASE)
    cluster.store.merge(kind, {"metadata": {"finalizers": []}}, NAMESPACE, name)
    await cluster.delete(LEASE, name)
    await cluster.start()
    return str(lease["spec"]["sentinel"]["secretRef"]["name"])


async def test_a_bootstrap_whose_lease_was_taken_away_goes(cluster: Cluster) -> None:
    await cluster.create(workload(trust="Verified"))
    await cluster.serves()
    left = await strip(cluster)
    assert left in cluster.bootstraps.held
    await asyncio.sleep(SOON)
    await cluster.serves()
    (lease,) = await cluster.leases()
    assert list(cluster.bootstraps.held) == [lease["spec"]["sentinel"]["secretRef"]["name"]]


async def test_the_bootstrap_of_a_lease_that_lives_stays(cluster: Cluster) -> None:
    await cluster.create(workload(trust="Verified", replicas=2))
    await cluster.serves()
    before = dict(cluster.bootstraps.held)
    await asyncio.sleep(SOON)
    assert cluster.bootstraps.held == before
    assert "bootstraps.kept" in cluster.calls


async def test_one_listing_without_the_lease_deletes_nothing(cluster: Cluster) -> None:
    """It may be some seconds old, and the lease newer."""
    await cluster.create(workload(trust="Verified"))
    await cluster.serves()
    kube = Forgetful(cluster.store)
    sweep = Leftovers(bootstraps=cluster.bootstraps, logins=cluster.logins, kube=kube).sweep
    before = dict(cluster.bootstraps.held)
    for kube.forgets in (True, False, True, False):
        await sweep()
        assert cluster.bootstraps.held == before
    kube.forgets = True
    await sweep()
    await sweep()
    assert cluster.bootstraps.held == {}


class Forgetful(MemoryKube):
    """Lists nothing while it ``forgets``."""

    forgets = False

    async def list(self, kind: Kind, **filters: Any) -> Sequence[Object]:
        return () if self.forgets else await super().list(kind, **filters)


async def test_a_sweep_that_fails_comes_again(cluster: Cluster) -> None:
    await cluster.create(workload(trust="Verified"))
    await cluster.serves()
    left = await strip(cluster)
    cluster.broken["bootstraps.discard"] = UnavailableError("no route")
    await asyncio.sleep(SOON)
    assert left in cluster.bootstraps.held
    del cluster.broken["bootstraps.discard"]
    await asyncio.sleep(SOON)
    assert left not in cluster.bootstraps.held
