"""An order's SDL, compiled by the local market, is our manifest."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from akash_sandbox.sdl.compile import compile_sdl
from garrison.adapters.akash.orders import compiled, sdl_of, sdl_text
from garrison.adapters.akash.sdl import parse, render
from garrison.errors import InvalidSpecError
from garrison.ports.market import Order, PullLogin
from tests.unit.adapters.orders import H100, MARKER, order

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
ORDERS = st.builds(
    order,
    command=st.lists(TEXT, max_size=3).map(tuple),
    args=st.lists(TEXT, max_size=3).map(tuple),
    env=st.lists(st.tuples(NAME, TEXT), max_size=3).map(tuple),
    ports=st.sets(
        st.integers(1, 65535).filter(lambda port: port != 80), min_size=1, max_size=3
    ).map(tuple),
    cpu_millis=st.integers(10, 384_000),
    memory_bytes=st.integers(1 << 20, 1 << 40),
    storage_bytes=st.integers(5 << 20, 1 << 40),
    gpu=st.sampled_from([None, H100]),
    attributes=st.dictionaries(NAME.filter(lambda name: name[0] != "_" and len(name) > 2), TEXT)
    .map(dict.items)
    .map(tuple),
)


@given(ORDERS)
def test_the_market_compiles_the_sdl_to_our_manifest(wanted: Order) -> None:
    theirs = compile_sdl(sdl_text(wanted))
    assert theirs.manifest_text == compiled(wanted).manifest_text
    assert theirs.hash.hex() == compiled(wanted).version


@given(ORDERS)
def test_the_text_says_what_the_document_says(wanted: Order) -> None:
    assert yaml.safe_load(sdl_text(wanted)) == render(sdl_of(wanted))


@given(ORDERS)
def test_the_text_is_read_back_as_it_was_meant(wanted: Order) -> None:
    assert parse(sdl_text(wanted)) == sdl_of(wanted)


def group(wanted: Order) -> dict[str, Any]:
    (only,) = compile_sdl(sdl_text(wanted)).groups
    return only


def test_the_group_carries_marker_requirements_and_price() -> None:
    found = group(order(gpu=H100, attributes=(("tier", "community"),), audited_by=("akash1a",)))
    assert found["name"] == MARKER
    assert found["requirements"]["attributes"] == [{"key": "tier", "value": "community"}]
    assert found["requirements"]["signed_by"]["any_of"] == ["akash1a"]
    (unit,) = found["resources"]
    assert unit["price"] == {"denom": "uact", "amount": "3333.000000000000000000"}
    assert unit["resource"]["gpu"]["attributes"] == [
        {"key": "vendor/nvidia/model/h100/ram/80Gi/interface/sxm", "value": "true"}
    ]


@pytest.mark.parametrize("port", [80, 443, 8000])
def test_no_port_becomes_an_http_ingress(port: int) -> None:
    (unit,) = group(order(ports=(port,)))["resources"]
    assert unit["resource"]["endpoints"] == [{"kind": 1, "sequence_number": 0}]


def test_every_port_is_an_endpoint_of_its_own() -> None:
    (unit,) = group(order(ports=(18444, 18443)))["resources"]
    assert unit["resource"]["endpoints"] == [{"kind": 1, "sequence_number": 0}] * 2


@pytest.mark.parametrize("text", ["no", "1e3", "0o17", "~", "null", "2024-01-01", "a: b", "*x", ""])
def test_no_string_is_left_to_a_dialects_taste(text: str) -> None:
    assert f'- "{text}"\n' in sdl_text(order(args=(text,)))


def test_a_price_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidSpecError):
        sdl_text(order(max_price_per_hour=1))


LOGIN = PullLogin(host="registry.example", username="robot", password="pull-only-7f3")


def test_a_login_becomes_the_credentials_of_the_service() -> None:
    (group,) = compiled(order(login=LOGIN)).manifest
    assert group["services"][0]["credentials"] == {
        "host": "registry.example",
        "email": "",
        "username": "robot",
        "password": "pull-only-7f3",
    }
    local = compile_sdl(sdl_text(order(login=LOGIN)))
    assert local.manifest == compiled(order(login=LOGIN)).manifest


@pytest.mark.parametrize(
    "login",
    [
        PullLogin(host="registry.example", username=" ", password="pull-only-7f3"),
        PullLogin(host="registry.example", username="robot", password="short"),
    ],
)
def test_a_login_that_the_market_does_not_take_is_refused_without_showing_it(
    login: PullLogin,
) -> None:
    with pytest.raises(InvalidSpecError, match="use an access token") as refused:
        compiled(order(login=login))
    assert login.password not in str(refused.value)


def test_an_order_is_printed_without_its_login() -> None:
    assert "pull-only-7f3" not in repr(order(login=LOGIN))
    assert "robot" not in repr(order(login=LOGIN))
