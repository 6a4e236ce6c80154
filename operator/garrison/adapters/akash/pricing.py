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
_STEPS = tuple(map(Decimal, ("5", "4", "3", "2", "1", "0.5", "0.25", "0.1", "0.05")))
_TOLERANCE = Decimal("1.02")


def blocks_per_hour(block_seconds: Decimal | None) -> int:
    """Return how many blocks an hour may have, by the measured time of a block (None: not measured).

    Blocks slower than assumed change nothing: the fastest plausible block makes a lease dearest. Faster
    ones are taken in steps, so that prices do not change with every measurement.
    """
    if block_seconds is None or block_seconds * _TOLERANCE >= FASTEST_BLOCK_SECONDS:
        return BLOCKS_PER_HOUR
    found = (each for each in _STEPS if each <= block_seconds * _TOLERANCE)
    return int(3600 / next(found, _STEPS[-1]))


def per_block(price_per_hour: MicroUSD, blocks: int = BLOCKS_PER_HOUR) -> int:
    """Return a ceiling per hour as uact per block, rounded down, so that it is never exceeded.

    Raises InvalidSpecError when nothing is left: the market takes no price of 0.
    """
    amount = price_per_hour // blocks
    if amount < 1:
        raise InvalidSpecError(
            f"a price of {price_per_hour} micro-dollars per hour is below the market's smallest unit "
            f"({blocks} micro-dollars per hour); raise the ceiling"
        )
    return min(amount, MAX_PER_BLOCK)


def per_hour(denom: str, amount: Decimal, blocks: int = BLOCKS_PER_HOUR) -> MicroUSD:
    """Return a price per block as micro-dollars per hour, rounded up.

    Raises UnavailableError for a denomination other than uact, or an impossible amount.
    """
    return micro_dollars(denom, amount * blocks)


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
