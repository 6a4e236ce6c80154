"""Two authorities on a cluster in memory, with a clock that tests set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from garrison.adapters.memory.kube import MemoryKube, register
from garrison.adapters.sentinel.authority import AuthorityStore, authorities
from garrison.adapters.sentinel.identities import CertificateIdentities
from garrison.api.meta import SECRET
from garrison.ports.identity import LeaseIdentity, trust_domain
from kube_light.resource import NAMESPACE
from kube_light.store import Store

SYSTEM = "garrison-system"
DOMAIN = trust_domain("0123abcd")
LEASE = LeaseIdentity(uid="11111111-2222-3333-4444-555555555555", namespace="prod", workload="chat")
OTHER = LeaseIdentity(uid="66666666-7777-8888-9999-000000000000", namespace="prod", workload="chat")


@dataclass(slots=True)
class Hand:
    """A clock that is moved by hand."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.at

    def move(self, by: timedelta) -> None:
        """Let time pass."""
        self.at += by


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Everything that signs."""

    kube: MemoryKube
    clock: Hand
    operator: AuthorityStore
    leases: AuthorityStore
    identities: CertificateIdentities


def cluster() -> MemoryKube:
    """A cluster with the operator's namespace."""
    store = Store()
    register(store, [SECRET])
    for name in (SYSTEM, "prod"):
        store.create(NAMESPACE, {"metadata": {"name": name}})
    return MemoryKube(store)


def trust(kube: MemoryKube | None = None, clock: Hand | None = None) -> Trust:
    """Fresh stores, as after a start of the operator, on the same or a new cluster."""
    kube, clock = kube or cluster(), clock or Hand()
    operator, leases = authorities(kube, clock, SYSTEM, DOMAIN)
    identities = CertificateIdentities(operator=operator, leases=leases, clock=clock, domain=DOMAIN)
    return Trust(kube=kube, clock=clock, operator=operator, leases=leases, identities=identities)
