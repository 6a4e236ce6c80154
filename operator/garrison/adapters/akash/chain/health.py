"""How far a node may be trusted: alive, of the right chain, not behind. Pure.

A height that one node alone claims proves nothing, so the height to be measured against is the second
highest when several answer. What one cannot forge in our favour is time: a block that is old by our own
clock is old whoever serves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from garrison.ports.market import EndpointFact

MAX_LAG = 5
"""Blocks."""
MAX_AGE = timedelta(seconds=45)
"""A chain makes a block every few seconds; an older newest block means a node (or the chain) halted."""
MAX_AHEAD = timedelta(seconds=45)
REST_SECONDS = (1.0, 2.0, 5.0, 15.0, 60.0)
"""How long a node that failed once, twice, ... is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A node's newest block."""

    height: int
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is known of a node. ``rest_until`` is in the event loop's time."""

    url: str
    head: Head | None = None
    failures: int = 0
    rest_until: float = 0.0
    message: str = ""


def believed_height(heads: Sequence[Head]) -> int:
    """Return the chain's height as far as it is not one node's word; 0 when nothing is known."""
    heights = sorted(each.height for each in heads)
    return heights[-2] if len(heights) > 1 else sum(heights)


def complaint(health: Health, *, believed: int, floor: int, now: datetime) -> str:
    """Return why a node must not be asked, "" when it may be.

    ``floor`` is a height that the chain is known to have reached.
    """
    head = health.head
    if head is None:
        return health.message or "it has not answered yet"
    if head.height < floor:
        return f"its height {head.height} is before a block that was seen, {floor}"
    if believed - head.height > MAX_LAG:
        return f"it is {believed - head.height} blocks behind the others"
    age = now - head.time
    if age > MAX_AGE:
        seconds = int(age.total_seconds())
        return f"its newest block is {seconds} s old: it halted, or this machine's clock is wrong"
    if -age > MAX_AHEAD:
        return "its newest block is in the future: check this machine's clock"
    return ""


def rest_seconds(failures: int) -> float:
    """Return how long a node is left alone after that many failures in a row."""
    return REST_SECONDS[min(failures, len(REST_SECONDS)) - 1]


def report(health: Health, *, believed: int, floor: int, now: datetime) -> EndpointFact:
    """Return a node as people see it."""
    head = health.head
    said = health.message or complaint(health, believed=believed, floor=floor, now=now)
    return EndpointFact(
        url=health.url,
        usable=not said,
        height=head.height if head else None,
        lag=max(0, believed - head.height) if head else None,
        message=said,
    )
