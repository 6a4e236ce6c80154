"""Money as integers: one unit is a millionth of a US dollar."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from functools import lru_cache
from typing import NewType

from garrison.errors import InvalidSpecError

MicroUSD = NewType("MicroUSD", int)
"""Millionths of a US dollar."""

PER_DOLLAR = 1_000_000

MOST_SHOWN = MicroUSD(9_999_999_999_999)
"""The highest amount that a field of a custom resource holds."""


@lru_cache(maxsize=4096)
def parse_dollars(text: str) -> MicroUSD:
    """Return a decimal string in dollars as micro-dollars, rounded down.

    Raises InvalidSpecError for anything but a plain non-negative decimal.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise InvalidSpecError(
            f"{text!r} is not an amount in dollars; write it like 1.25"
        ) from None
    if not value.is_finite() or value < 0:
        raise InvalidSpecError(f"{text!r} is not an amount in dollars; it must be 0 or more")
    return MicroUSD(int((value * PER_DOLLAR).to_integral_value(ROUND_FLOOR)))


def format_dollars(amount: int, places: int = 2) -> str:
    """Return micro-dollars as a decimal string with at least ``places`` digits, rounded up at 6."""
    value = Decimal(amount) / PER_DOLLAR
    text = f"{value.quantize(Decimal(1).scaleb(-6), ROUND_CEILING):f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(places, '0')}" if places else whole


def shown_dollars(amount: int) -> str:
    """Return micro-dollars as a status shows them: what does not fit is shown as the most that does.

    Bids are other people's numbers; an absurd one must not make a status that cannot be written.
    """
    return format_dollars(min(amount, MOST_SHOWN))
