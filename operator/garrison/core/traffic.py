"""Which replicas get traffic. The one decision behind every renderer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from garrison.api.lease import Lease
from garrison.core.identity import peer_of
from garrison.ports.identity import Peer

ENDED = frozenset({"Closing", "Closed", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A replica that may get traffic; ``draining``: only connections it already has."""

    lease: str
    host: str
    port: int
    draining: bool
    ingress: bool = False
    """whether a proxy there routes by host name"""
    peer: Peer | None = None
    """whom to expect there by mutual TLS; None: reached in the clear"""


def backends(leases: Iterable[Lease]) -> tuple[Backend, ...]:
    """Return the backends, ordered by lease name.

    Ready is the operator's word: image, benchmark and health have passed. A failed lease is no
    backend at all; one that is being deleted drains.
    """
    found = []
    for lease in leases:
        status = lease.status
        if status.endpoint is None or status.phase not in {"Ready", "Draining"}:
            continue
        if status.failure is not None:
            continue
        found.append(
            Backend(
                lease=lease.meta.name,
                host=status.endpoint.host,
                port=status.endpoint.port,
                draining=status.phase == "Draining" or lease.meta.deleting,
                ingress=status.endpoint.ingress,
                peer=peer_of(lease),
            )
        )
    return tuple(sorted(found, key=lambda each: each.lease))


def standing(leases: Iterable[Lease]) -> frozenset[tuple[str, Peer | None]]:
    """Return who may finish an answer, by lease name and key; the way to anybody else is cut.

    What a provider keeps running after its lease has ended is no replica, whatever certificate it shows.
    """
    return frozenset(
        (lease.meta.name, peer_of(lease)) for lease in leases if lease.status.phase not in ENDED
    )
