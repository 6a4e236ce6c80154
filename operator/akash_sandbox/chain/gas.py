"""What transactions cost: near what a real node of version 2.1 was seen to use, and as uneven."""

from __future__ import annotations

from collections.abc import Mapping

UNLIMITED = 18_446_744_073_709_551_615
"""What a simulation is allowed."""
PER_BYTE = 10
_SIGNED = 21_000
_FEE = 18_000
_FRESH = 30_000
_UNORDERED = 2_500
_MESSAGE = 20_000
_EVENT = 9_000
_EXTRA: Mapping[str, int] = {
    "/akash.market.v1beta5.MsgCreateLease": 95_000,
    "/akash.market.v1beta5.MsgCreateBid": 25_000,
    "/akash.deployment.v1beta4.MsgCreateDeployment": 25_000,
    "/akash.deployment.v1beta4.MsgCloseDeployment": 15_000,
    "/akash.provider.v1beta4.MsgCreateProvider": 20_000,
}


def of_bytes(size: int) -> int:
    """Return the gas that a transaction of so many bytes takes first of all."""
    return size * PER_BYTE


def of_ante(size: int, *, fee: bool, fresh: bool, unordered: bool) -> int:
    """Return the gas of everything before the messages: bytes, fee, signature."""
    return of_bytes(size) + _SIGNED + _FEE * fee + _FRESH * fresh + _UNORDERED * unordered


def of_message(url: str, events: int) -> int:
    """Return the gas of one message that made so many events."""
    return _MESSAGE + _EXTRA.get(url, 0) + _EVENT * events
