"""An order: one group that looks for a provider."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OrderState(StrEnum):
    OPEN = "open"
    ACTIVE = "active"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """``posted`` is in Unix seconds, ``created_at`` a block height."""

    gseq: int
    oseq: int
    state: OrderState
    created_at: int
    posted: float
