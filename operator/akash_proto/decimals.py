"""The chain's decimals: 18 digits after the point, on the wire as a whole number."""

from __future__ import annotations

import re
from decimal import Context, Decimal

from akash_proto.errors import DecodeError

PLACES = 18
_SCALE = 10**PLACES
_EXACT = Context(prec=120)
_WIRE = re.compile(r"-?[0-9]{1,78}")


def to_wire(value: Decimal | int) -> str:
    """Return a number as the wire carries it. Raises ValueError when 18 places do not hold it."""
    scaled = Decimal(value).scaleb(PLACES, _EXACT)
    whole = int(scaled)
    if whole != scaled:
        raise ValueError(f"{value} has more than {PLACES} decimal places")
    return str(whole)


def from_wire(text: str) -> Decimal:
    """Return the number that the wire's text stands for, "" being 0. Raises DecodeError."""
    if not text:
        return Decimal(0)
    if not _WIRE.fullmatch(text):
        raise DecodeError(f"{text[:100]!r} is not a decimal of the chain")
    return Decimal(int(text)).scaleb(-PLACES, _EXACT)


def to_json(text: str) -> str:
    """Return the wire's text with its point and 18 decimal places. Raises DecodeError."""
    return f"{from_wire(text):.{PLACES}f}"


def exact(text: str) -> Decimal:
    """Return the number that JSON's text stands for. Raises DecodeError."""
    try:
        number = Decimal(text)
    except (ArithmeticError, TypeError, ValueError):
        raise DecodeError(f"{str(text)[:100]!r} is not a number") from None
    if not number.is_finite() or abs(number.adjusted()) > 60:
        raise DecodeError(f"{str(text)[:100]!r} is not a number that the chain can hold")
    return number
