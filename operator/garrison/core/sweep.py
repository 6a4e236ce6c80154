"""Deployments without an owner: which of the account's are ours, and which of those are lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from garrison.api.account import Stranger
from garrison.api.lease import Lease
from garrison.core.adoption import awaits, holds
from garrison.core.marker import Marker, parse_marker
from garrison.ports.market import Deployment, DeploymentState

MAX_STRANGERS = 50


def strangers(
    deployments: Iterable[Deployment],
    leases: Mapping[str, Lease],
    *,
    installation: str,
    released: frozenset[str],
    adopted: frozenset[str],
) -> tuple[Stranger, ...]:
    """Return the open deployments that no lease owns; orphans (ours, to be closed) come first.

    ``leases`` by uid must have been read after the deployments were listed. ``adopted`` are on record
    as ours without a marker: an orphan, once no lease holds one or may adopt it again.
    """
    found = []
    held = {holds(each) for each in leases.values()}
    lost = adopted - {awaits(each) for each in leases.values()}
    for deployment in deployments:
        if deployment.state is not DeploymentState.ACTIVE or deployment.id in held:
            continue
        kind = _kind(deployment, leases, installation, released, lost)
        if kind is not None:
            found.append(
                Stranger(deployment=deployment.id, kind=kind, marker=deployment.marker[:128])
            )
    rank = {"Orphan": 0, "Released": 1, "Foreign": 2}
    return tuple(sorted(found, key=lambda each: (rank[each.kind], each.deployment))[:MAX_STRANGERS])


def _kind(
    deployment: Deployment,
    leases: Mapping[str, Lease],
    installation: str,
    released: frozenset[str],
    lost: frozenset[str],
) -> Literal["Foreign", "Orphan", "Released"] | None:
    if deployment.id in released:
        return "Released"
    if deployment.id in lost:
        return "Orphan"
    marker = parse_marker(deployment.marker)
    if marker is None or marker.installation != installation:
        return "Foreign"
    lease = leases.get(marker.lease)
    return None if lease is not None and owns(lease, deployment, marker) else "Orphan"


def owns(lease: Lease, deployment: Deployment, marker: Marker) -> bool:
    """Return whether a lease pays for a deployment, or will adopt it when it looks."""
    status = lease.status
    if status.closed_at is not None:
        return False
    if status.deployment is not None:
        return status.deployment.id == deployment.id
    return marker.attempt == status.attempt
