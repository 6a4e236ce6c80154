"""A bid: one provider's offer for one order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BidState(StrEnum):
    OPEN = "open"
    ACTIVE = "active"
    LOST = "lost"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """``price`` is uact per block for the whole group; ``posted`` is in Unix seconds."""

    gseq: int
    oseq: int
    provider: str
    state: BidState
    price: int
    gpu_key: str
    created_at: int
    posted: float
