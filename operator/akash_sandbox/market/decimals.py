"""Amounts with 18 decimals, kept as the whole number of their last place, as the chain does."""

from __future__ import annotations

from decimal import Decimal, localcontext

PLACES = 18
UNIT = int(10**PLACES)
"""One whole unit, for instance 1 uact."""


def text(amount: int) -> str:
    """Return an amount with all its decimals: 12500000000000000000 is "12.500000000000000000"."""
    whole, rest = divmod(abs(amount), UNIT)
    return f"{'-' if amount < 0 else ''}{whole}.{rest:018d}"


def parsed(number: str) -> int:
    """Return the amount that a decimal number names, cut after 18 places."""
    with localcontext() as context:
        context.prec = 120
        return int(Decimal(number) * UNIT)


def floor(amount: int) -> int:
    """Return the whole units of an amount that is not negative."""
    return amount // UNIT
