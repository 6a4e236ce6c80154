"""Prices per hour and per block never drift in the dear direction."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.adapters.akash.pricing import (
    MAX_PER_BLOCK,
    from_dollars,
    micro_dollars,
    per_block,
    per_hour,
    to_dollars,
)
from garrison.api.money import MicroUSD
from garrison.errors import InvalidSpecError, UnavailableError


@given(st.integers(600, 10**10))
def test_a_bid_at_the_ordered_price_is_within_the_ceiling(ceiling: int) -> None:
    amount = per_block(MicroUSD(ceiling))
    assert 1 <= amount <= MAX_PER_BLOCK
    assert per_hour("uact", Decimal(amount)) <= ceiling


@given(st.decimals(min_value=0, max_value=10**7, places=6))
def test_a_price_is_rounded_up(amount: Decimal) -> None:
    price = per_hour("uact", amount)
    assert 0 <= price - amount * 600 < 1


def test_two_dollars_an_hour() -> None:
    assert per_block(MicroUSD(2_000_000)) == 3333
    assert per_hour("uact", Decimal("3333.000000000000000000")) == 1_999_800


@pytest.mark.parametrize("price", [0, 599])
def test_a_price_below_the_smallest_unit_is_refused(price: int) -> None:
    with pytest.raises(InvalidSpecError, match="raise the ceiling"):
        per_block(MicroUSD(price))


@pytest.mark.parametrize(
    ("denom", "amount"), [("uakt", "1"), ("uact", "NaN"), ("uact", "Infinity")]
)
def test_other_money_is_not_converted(denom: str, amount: str) -> None:
    with pytest.raises(UnavailableError):
        micro_dollars(denom, Decimal(amount))


@given(st.integers(0, 10**14))
def test_dollars_go_there_and_back(amount: int) -> None:
    assert from_dollars(Decimal(repr(to_dollars(MicroUSD(amount))))) == amount
