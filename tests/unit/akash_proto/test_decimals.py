"""Decimals of the chain: exact both ways."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_proto import decimals
from akash_proto.errors import DecodeError


@given(st.integers(min_value=-(10**60), max_value=10**60))
def test_wire_and_back(units: int) -> None:
    value = decimals.from_wire(str(units))
    assert decimals.to_wire(value) == str(units)
    assert decimals.to_wire(decimals.exact(decimals.to_json(str(units)))) == str(units)


def test_the_wire_carries_eighteen_places() -> None:
    assert decimals.to_wire(Decimal("12.5")) == "12500000000000000000"
    assert decimals.to_json("12500000000000000000") == "12.500000000000000000"
    assert decimals.from_wire("") == 0


def test_more_places_than_the_wire_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="18 decimal places"):
        decimals.to_wire(Decimal("0.0000000000000000001"))


@pytest.mark.parametrize("text", ["1.5", "1e3", "--1", "x", "1" * 100])
def test_nonsense_on_the_wire_is_a_decode_error(text: str) -> None:
    with pytest.raises(DecodeError):
        decimals.from_wire(text)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999999", "x", ""])
def test_nonsense_in_json_is_a_decode_error(text: str) -> None:
    with pytest.raises(DecodeError):
        decimals.exact(text)
