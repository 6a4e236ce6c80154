"""A bid: one provider's offer for one order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from akash_sandbox.market.escrow import Source


class BidState(StrEnum):
    OPEN = "open"
    ACTIVE = "active"
    LOST = "lost"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """``price`` is uact per block with 18 decimals, for the whole group; ``posted`` in Unix seconds.

    ``offer`` is what the provider's message said it would assign; without one it is the order's
    resources with the GPU ``gpu_key``. ``deposit`` is the provider's own, in ``denom``, until the
    bid ends at height ``closed_at``.
    """

    gseq: int
    oseq: int
    provider: str
    state: BidState
    price: int
    gpu_key: str
    created_at: int
    posted: float
    offer: tuple[dict[str, Any], ...] = ()
    window_seconds: int = 0
    deposit: int = 0
    denom: str = "uact"
    payer: str = ""
    source: Source = Source.BALANCE
    closed_at: int = 0

    @property
    def is_live(self) -> bool:
        """Whether its deposit is still held."""
        return self.state in (BidState.OPEN, BidState.ACTIVE)
