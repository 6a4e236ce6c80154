"""An administrator's list of mining pools: how it is read, and what it finds."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.core.mining import NO_POOLS, Pools, marked, meaning, parse_pools, sign_of
from garrison.errors import InvalidSpecError
from garrison.ports.sentinel import Denied, EgressView, SentinelState, View
from tests.builders import NOW

LIST = """
# what the security team sends every week
pool.example        # with all names below it
*.Miners.Example.
203.0.113.9
198.51.100.0/24
2001:db8:a::/48
"""
POOLS = parse_pools(LIST, "pools.txt")


def denied(destination: str, address: str = "", mining: str | None = None) -> Denied:
    return Denied(
        destination=destination,
        address=address,
        port=443,
        protocol="tcp",
        process="",
        count=1,
        last_seen=NOW,
        mining=mining,
    )


def view(*seen: Denied) -> View:
    egress = EgressView(version=1, level="Enforced", denied=seen)
    return View(instance="a" * 32, state=SentinelState.RUNNING, digest="", egress=egress)


@pytest.mark.parametrize(
    ("name", "address", "sign"),
    [
        ("pool.example", "", "pool-name"),
        ("eu.Pool.example.", "", "pool-name"),
        ("a.b.miners.example", "192.0.2.1", "pool-name"),
        ("whirlpool.example", "", None),
        ("example", "", None),
        ("203.0.113.9", "203.0.113.9", "pool-address"),
        ("203.0.113.10", "203.0.113.10", None),
        ("hub.example", "198.51.100.77", "pool-address"),
        ("198.51.101.0", "", None),
        ("2001:db8:a:1::7", "", "pool-address"),
        ("2001:db8:b::", "", None),
        ("any", "any", None),
    ],
)
def test_what_is_listed(name: str, address: str, sign: str | None) -> None:
    assert sign_of(POOLS, name, address) == sign


@pytest.mark.parametrize("entry", ["pool", "not a name", "203.0.113.9/24", "1.2.3", "-", "*"])
def test_a_line_that_makes_no_sense_is_named(entry: str) -> None:
    with pytest.raises(InvalidSpecError, match=r"pools\.txt, line 2: .*such as pool\.example"):
        parse_pools(f"pool.example\n{entry}\n", "pools.txt")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidSpecError):
        assert isinstance(parse_pools(text, "pools.txt"), Pools)


@given(st.ip_addresses(), st.ip_addresses())
def test_an_address_is_found_and_no_other(one: object, other: object) -> None:
    pools = parse_pools(str(one), "pools.txt")
    assert sign_of(pools, str(one), "") == "pool-address"
    assert (sign_of(pools, str(other), "") is not None) == (one == other)


def test_destinations_are_marked_and_what_the_sentinel_knows_stays() -> None:
    seen = view(
        denied("hub.example"),
        denied("203.0.113.9", "203.0.113.9", "pool-port"),
        denied("na.rplant.xyz", mining="pool-name"),
    )
    after = marked(seen, POOLS).egress
    assert after is not None
    assert [each.mining for each in after.denied] == [None, "pool-address", "pool-name"]
    assert marked(seen, NO_POOLS) is seen


def test_a_port_is_not_called_a_pool() -> None:
    assert meaning("pool-port") == "a port that mining pools use"
    assert meaning("what a later sentinel says") == "what looks like mining"
