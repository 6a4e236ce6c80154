"""Forms of text, on the operator's side."""

from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from garrison.api.form import RULES, Form, IntOrText
from garrison.api.meta import Price
from garrison.api.money import parse_dollars
from garrison.api.quantity import PATTERN, parse_bytes, parse_millicores, parse_millis

PRICE: TypeAdapter[str] = TypeAdapter(Price)
VENDOR: TypeAdapter[str] = TypeAdapter(
    Annotated[str, Form("^[a-z]+$", "must be lower case"), Form("^intel$", "not yet", refused=True)]
)


def message_of(adapter: TypeAdapter[str], value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize("text", ["NVIDIA", "", "nvidia\n", "n v"])
def test_a_form_tells_its_remedy_as_it_is(text: str) -> None:
    assert message_of(VENDOR, text) == "must be lower case"


def test_a_refused_form_tells_its_reason() -> None:
    assert message_of(VENDOR, "intel") == "not yet"


def test_forms_leave_their_rules_in_order() -> None:
    assert VENDOR.json_schema()[RULES] == [
        {"rule": "self.matches(r'^[a-z]+$')", "message": "must be lower case"},
        {"rule": "!self.matches(r'^intel$')", "message": "not yet"},
    ]


def test_a_pattern_with_a_quote_is_quoted_by_the_other() -> None:
    adapter: TypeAdapter[str] = TypeAdapter(Annotated[str, Form("^a'$", "a'")])
    assert adapter.json_schema()[RULES] == [
        {"rule": """self.matches(r"^a'$")""", "message": "a'"},
    ]


@given(st.integers(min_value=0, max_value=9_999_999))
def test_whole_numbers_are_prices(number: int) -> None:
    assert parse_dollars(PRICE.validate_python(number)) == number * 1_000_000


@given(st.floats())
def test_numbers_with_a_fraction_need_quotes(number: float) -> None:
    assert message_of(PRICE, number).startswith("put a number with a fraction in quotes")


def test_true_is_no_price() -> None:
    assert message_of(PRICE, True) == "Input should be a valid string"


def test_rules_of_numbers_look_at_their_text() -> None:
    adapter: TypeAdapter[str] = TypeAdapter(Annotated[str, Form("^1$", "one"), IntOrText()])
    assert adapter.json_schema()[RULES] == [
        {"rule": "string(self).matches(r'^1$')", "message": "one"}
    ]


@given(st.from_regex(PATTERN, fullmatch=True).filter(lambda text: not text.endswith("\n")))
def test_every_quantity_of_the_form_can_be_read(text: str) -> None:
    assert parse_millis(text) == parse_millicores(text)
    assert parse_bytes(text) <= parse_millis(text) <= parse_bytes(text) * 1000
