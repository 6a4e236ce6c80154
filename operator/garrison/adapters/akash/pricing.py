"""Prices: micro-dollars per hour here, uact per block on the market.

The market's unit ``uact`` is worth a millionth of a US dollar, so only the time base differs. Blocks
take 6.0 to 6.5 seconds; the fastest plausible block makes a lease dearest, so it is the one used.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from garrison.api.money import PER_DOLLAR, MicroUSD
from garrison.errors import InvalidSpecError, UnavailableError

DENOM = "uact"
FASTEST_BLOCK_SECONDS = 6
BLOCKS_PER_HOUR = 3600 // FASTEST_BLOCK_SECONDS
MAX_PER_BLOCK = 10_000_000
"""The market's limit for one replica."""


def per_block(price_per_hour: MicroUSD) -> int:
    """Return a ceiling per hour as uact per block, rounded down, so that it is never exceeded.

    Raises InvalidSpecError when nothing is left: the market takes no price of 0.
    """
    amount = price_per_hour // BLOCKS_PER_HOUR
    if amount < 1:
        raise InvalidSpecError(
            f"a price of {price_per_hour} micro-dollars per hour is below the market's smallest unit "
            f"({BLOCKS_PER_HOUR} micro-dollars per hour); raise the ceiling"
        )
    return min(amount, MAX_PER_BLOCK)


def per_hour(denom: str, amount: Decimal) -> MicroUSD:
    """Return a price per block as micro-dollars per hour, rounded up.

    Raises UnavailableError for a denomination other than uact, or an impossible amount.
    """
    return micro_dollars(denom, amount * BLOCKS_PER_HOUR)


def micro_dollars(denom: str, amount: Decimal) -> MicroUSD:
    """Return an amount of the market's currency in micro-dollars, rounded up.

    Raises UnavailableError for a denomination other than uact, or an impossible amount.
    """
    if denom != DENOM or not amount.is_finite():
        raise UnavailableError(
            f"the market quotes {amount} {denom!r}; only {DENOM} can be converted to dollars"
        )
    return MicroUSD(int(amount.to_integral_value(ROUND_CEILING)))


def from_dollars(dollars: Decimal) -> MicroUSD:
    """Return dollars as micro-dollars, rounded down: money that may be spent."""
    return MicroUSD(int((dollars * PER_DOLLAR).to_integral_value(ROUND_FLOOR)))


def to_dollars(amount: MicroUSD) -> float:
    """Return micro-dollars as the JSON number of dollars that the Console API takes.

    A double holds six decimals exactly enough for any amount below a billion dollars.
    """
    return float(Decimal(amount) / PER_DOLLAR)
