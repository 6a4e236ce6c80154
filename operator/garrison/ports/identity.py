"""Who is who between the operator, the sentinels and the clients of a workload.

Names are SPIFFE ids in a trust domain of this installation, one in each certificate. Source: SPIFFE-ID and
X.509-SVID specifications, https://spiffe.io/docs/latest/spiffe-specs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ssl import SSLContext

DNS_SUFFIX = "lease.garrison.internal"
"""``.internal`` is reserved for private use (ICANN resolution 2024.07.29.06): nobody resolves it."""
CLIENT_TURN = timedelta(hours=12)
"""How often a workload's client identity is replaced; each is good for two turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseIdentity:
    """The lease that a container belongs to: ``uid`` names it in certificates."""

    uid: str
    namespace: str
    workload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Whom to expect behind a replica's data port: the lease, and the SHA-256 of its key (hex)."""

    lease: LeaseIdentity
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientIdentity:
    """A client certificate with its key and the authorities to trust, all PEM."""

    certificate: str
    key: str = field(repr=False)
    lease_authorities: str


class Identities(Protocol):
    """Client identities, and what they expect of the other side."""

    async def context(self, peer: Peer) -> SSLContext:
        """Return a TLS context that speaks as a client of the peer's workload and accepts only it."""

    async def client(self, namespace: str, workload: str, turn: int) -> ClientIdentity:
        """Return a fresh client identity of a workload that is good until the turn after next."""

    async def console(self, namespace: str, workload: str, turn: int) -> ClientIdentity:
        """Return the same for a person who looks inside: logs, shell, connectivity; no data."""


def trust_domain(installation: str) -> str:
    """Return the trust domain of an installation (8 hex digits)."""
    return f"garrison-{installation}"


def operator_id(domain: str) -> str:
    """Return the operator's id: who may speak to control ports."""
    return f"spiffe://{domain}/operator"


def client_id(domain: str, namespace: str, workload: str) -> str:
    """Return the id of a workload's clients: who may speak to its data ports."""
    return f"spiffe://{domain}/ns/{namespace}/iw/{workload}"


def console_id(domain: str, namespace: str, workload: str) -> str:
    """Return the id of whoever may look inside a workload: who may ask its control ports."""
    return f"{client_id(domain, namespace, workload)}/console"


def bootstrap_id(domain: str, lease: LeaseIdentity) -> str:
    """Return the id of a lease's bootstrap: good for enrolling only."""
    return f"spiffe://{domain}/bootstrap/{lease.uid}"


def lease_id(domain: str, lease: LeaseIdentity) -> str:
    """Return the id of an enrolled sentinel."""
    return f"spiffe://{domain}/lease/{lease.uid}"


def lease_dns(lease: LeaseIdentity) -> str:
    """Return the DNS name in an enrolled sentinel's certificate."""
    return f"{lease.uid}.{lease.workload}.{lease.namespace}.{DNS_SUFFIX}"


def client_turn(now: datetime) -> int:
    """Return the number of the turn that ``now`` lies in."""
    return int(now.timestamp() // CLIENT_TURN.total_seconds())


def client_until(turn: int) -> datetime:
    """Return when the client identity of a turn ends."""
    return datetime.fromtimestamp((turn + 2) * CLIENT_TURN.total_seconds(), UTC)
