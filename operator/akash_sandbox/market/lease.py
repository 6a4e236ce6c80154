"""A lease: an order taken by one provider's bid."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LeaseState(StrEnum):
    ACTIVE = "active"
    RECLAIMING = "reclaiming"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    CLOSED = "closed"


class CloseReason(StrEnum):
    """Why a lease ended, in the chain's words; the providers' reasons have codes 10000 to 19999."""

    NONE = "lease_closed_invalid"
    OWNER = "lease_closed_owner"
    UNSTABLE = "lease_closed_reason_unstable"
    DECOMMISSION = "lease_closed_reason_decommission"
    UNSPECIFIED = "lease_closed_reason_unspecified"
    MANIFEST_TIMEOUT = "lease_closed_reason_manifest_timeout"
    INSUFFICIENT_FUNDS = "lease_closed_reason_insufficient_funds"


PROVIDER_REASONS = {
    10000: CloseReason.UNSTABLE,
    10001: CloseReason.DECOMMISSION,
    10002: CloseReason.UNSPECIFIED,
    10003: CloseReason.MANIFEST_TIMEOUT,
}
"""The numbers of the reasons that a provider may give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclamation:
    """A provider's notice: it takes the hardware back at ``deadline`` (Unix seconds)."""

    window_seconds: int
    started_at: int
    deadline: int
    reason: CloseReason = CloseReason.DECOMMISSION


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseKey:
    """Names a lease, and as well the bid that it came from."""

    owner: str
    dseq: str
    gseq: int
    oseq: int
    provider: str

    def __str__(self) -> str:
        return f"{self.dseq}/{self.gseq}/{self.oseq}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """``leased`` is in Unix seconds, ``closed_on`` 0 while open.

    ``price`` per block, ``balance`` (settled but not withdrawn) and ``unsettled`` (owed without
    funds) are uact with 18 decimals, ``withdrawn`` is whole uact. ``window_seconds`` is the notice
    that the provider has to give, 0 for none.
    """

    gseq: int
    oseq: int
    provider: str
    state: LeaseState
    price: int
    gpu_key: str
    created_at: int
    leased: float
    closed_on: int = 0
    reason: CloseReason = CloseReason.NONE
    reclamation: Reclamation | None = None
    window_seconds: int = 0
    balance: int = 0
    unsettled: int = 0
    withdrawn: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it still burns escrow and runs its workload."""
        return self.state in (LeaseState.ACTIVE, LeaseState.RECLAIMING)
