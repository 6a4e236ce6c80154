"""Where a lease's container is managed, from what the lease and its provider say."""

from __future__ import annotations

from garrison.api.lease import LeaseStatus
from garrison.ports.market import LeaseTarget


def target_of(status: LeaseStatus, listed: str | None) -> LeaseTarget | None:
    """Return the gateway and the lease's name there; None without a lease or a known gateway.

    ``listed`` is the gateway of the provider's record; without one, that of the time of the lease.
    """
    host = listed or status.provider_host
    if status.deployment is None or status.provider is None or host is None:
        return None
    if status.gseq is None or status.oseq is None:
        return None
    return LeaseTarget(
        deployment=status.deployment.id,
        gseq=status.gseq,
        oseq=status.oseq,
        provider=status.provider,
        host_uri=host,
        service=status.service or "",
    )
