"""What a pass over a workload may write, each in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from garrison.api.meta import Kind
from garrison.api.workload import ReplicaStatus
from garrison.controllers.finalizer import Hold, Release
from garrison.ports.kube import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Accept:
    """Store the template as a revision."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Create the AkashLease whose name is in the ledger already."""

    entry: ReplicaStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Delete an AkashLease: it drains, closes and goes."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Write one routing object."""

    kind: Kind
    body: Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Unroute:
    """Delete an EndpointSlice."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueClient:
    """Create the Secret with this turn's client identity, and delete the one that is over."""

    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """Delete old revisions that nothing runs."""


WorkloadAction: TypeAlias = (
    Hold | Release | Accept | Create | Retire | Route | Unroute | IssueClient | Prune
)
