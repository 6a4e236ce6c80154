"""When a certificate authority is replaced: the successor is trusted everywhere before it signs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LIFE = timedelta(days=730)
PREPARE_BEFORE_END = timedelta(days=240)
OVERLAP = timedelta(days=2)
"""From being trusted to signing: longer than any certificate or client identity waits for renewal."""
LAST = timedelta(days=1)
"""An authority that ends sooner cannot sign for as long as certificates live: no waiting then."""


class Turn(StrEnum):
    KEEP = "Keep"
    PREPARE = "Prepare"
    """make the successor and let everybody trust it"""
    PROMOTE = "Promote"
    """let the successor sign; the old one stays trusted until it ends"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """The authority that signs, and the successor that is trusted already."""

    until: datetime
    successor_since: datetime | None = None


def turn(tenure: Tenure, now: datetime) -> Turn:
    """Return what to do about an authority now."""
    if tenure.successor_since is not None:
        ripe = now - tenure.successor_since >= OVERLAP or tenure.until - now < LAST
        return Turn.PROMOTE if ripe else Turn.KEEP
    return Turn.PREPARE if tenure.until - now < PREPARE_BEFORE_END else Turn.KEEP
