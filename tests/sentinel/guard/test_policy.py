"""Policies are read strictly, and decided on exactly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.guard.addresses import fold, is_inward, packed
from sentinel.guard.errors import PolicyError
from sentinel.guard.ladder import FACTS, climb, level_of
from sentinel.guard.mining import mining_sign
from sentinel.guard.policy import Policy, parse_policy, read_policy
from sentinel.guard.verdict import PIN_SECONDS, Decider

SPEC = {
    "mode": "Enforce",
    "requireEnforced": True,
    "allow": [
        {"host": "huggingface.co", "ports": [443]},
        {"host": "*.hf.co", "ports": [443, 8443]},
        {"cidr": "203.0.113.0/24", "ports": [8443]},
        {"cidr": "2001:db8::/32"},
    ],
}


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("huggingface.co", True),
        ("cdn.huggingface.co", False),
        ("evilhuggingface.co", False),
        ("cdn.hf.co", True),
        ("a.b.hf.co", True),
        ("hf.co", False),
        ("xhf.co", False),
    ],
)
def test_names(name: str, *, allowed: bool) -> None:
    assert bool(parse_policy(SPEC).ports_of(name)) is allowed


@pytest.mark.parametrize(
    ("address", "port", "allowed"),
    [
        ("203.0.113.7", 8443, True),
        ("203.0.113.7", 443, False),
        ("203.0.114.7", 8443, False),
        ("::ffff:203.0.113.7", 8443, True),
        ("2001:db8::1", 443, True),
        ("2001:db8::1", 80, False),
        ("2001:db9::1", 443, False),
        ("127.0.0.1", 1, True),
        ("0.0.0.0", 1, True),
        ("::1", 1, True),
        ("169.254.169.254", 80, False),
    ],
)
def test_addresses(address: str, port: int, *, allowed: bool) -> None:
    decider = Decider(parse_policy(SPEC), lambda: 0.0)
    assert decider.decide(packed(address), port).allowed is allowed


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ([], "spec"),
        ({"alow": []}, "alow"),
        ({"mode": "enforce"}, "mode"),
        ({"requireEnforced": "yes"}, "requireEnforced"),
        ({"allow": {}}, "allow"),
        ({"allow": [{}]}, "allow[0]"),
        ({"allow": [{"host": "a.example", "cidr": "10.0.0.0/8"}]}, "allow[0]"),
        ({"allow": [{"host": "a.example"}, {"host": "*"}]}, "allow[1].host"),
        ({"allow": [{"host": "a.*.example"}]}, "allow[0].host"),
        ({"allow": [{"host": "10.0.0.1"}]}, "allow[0].host"),
        ({"allow": [{"host": 7}]}, "allow[0].host"),
        ({"allow": [{"cidr": "10.0.0.1/8"}]}, "allow[0].cidr"),
        ({"allow": [{"cidr": "somewhere"}]}, "allow[0].cidr"),
        ({"allow": [{"cidr": "10.0.0.0/8", "ports": []}]}, "allow[0].ports"),
        ({"allow": [{"cidr": "10.0.0.0/8", "ports": [0]}]}, "allow[0].ports"),
        ({"allow": [{"cidr": "10.0.0.0/8", "ports": [True]}]}, "allow[0].ports"),
        ({"allow": [{"cidr": "10.0.0.0/8", "ports": ["443"]}]}, "allow[0].ports"),
    ],
)
def test_errors_name_the_field(spec: Any, field: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(spec)
    assert field in str(caught.value)


def test_a_whole_resource_is_taken_too() -> None:
    whole = {"kind": "EgressPolicy", "metadata": {"name": "x"}, "spec": SPEC}
    assert read_policy(json.dumps(whole)) == parse_policy(SPEC)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["mode", "allow", "host", "cidr", "ports", "x"]), inner
            )
        ),
    )
)
def test_anything_else_is_refused_and_nothing_breaks(spec: Any) -> None:
    try:
        policy = read_policy(json.dumps(spec))
    except PolicyError:
        return
    assert isinstance(policy, Policy)


def test_made_up_names_of_one_address_fill_no_memory() -> None:
    """Below a wildcard a workload may ask for any number of them; what is allowed stays so."""
    now = [0.0]
    policy = parse_policy({"allow": [{"host": "*.hf.co"}, {"host": "hub.example"}]})
    decider = Decider(policy, lambda: now[0])
    address = packed("203.0.113.9")
    assert decider.pin(address, "hub.example", 86400)
    for number in range(5000):
        now[0] += 0.001
        assert decider.pin(address, f"n{number}.hf.co", 60)
    assert len(decider._pins[address]) == 64
    assert decider.decide(address, 443).allowed
    decider.replace(parse_policy({"allow": [{"host": "hub.example"}]}))
    assert decider.decide(address, 443).allowed
    decider.replace(parse_policy({"allow": []}))
    assert not decider.decide(address, 443).allowed


def test_a_pin_lasts_an_hour_and_goes_with_its_rule() -> None:
    now = 0.0
    decider = Decider(parse_policy(SPEC), lambda: now)
    address = packed("198.51.100.9")
    assert not decider.decide(address, 443).allowed
    assert decider.pin(address, "cdn.hf.co", 1)
    assert decider.decide(address, 443).name == "cdn.hf.co"
    assert decider.decide(address, 80).reason == "port"
    now = PIN_SECONDS + 10
    assert not decider.decide(address, 443).allowed
    decider.pin(address, "cdn.hf.co", 1)
    decider.replace(parse_policy({}))
    assert not decider.decide(address, 443).allowed


def test_what_was_let_through_is_ended_by_a_policy_and_not_by_a_clock() -> None:
    now = 0.0
    decider = Decider(parse_policy(SPEC), lambda: now)
    address = packed("198.51.100.9")
    decider.pin(address, "cdn.hf.co", 1)
    now = 10 * PIN_SECONDS
    decider.replace(parse_policy(SPEC))
    assert not decider.decide(address, 443).allowed
    assert decider.keeps(address, 443)
    assert not decider.keeps(address, 80)
    assert not decider.keeps(packed("198.51.100.10"), 443)
    decider.replace(parse_policy({}))
    assert not decider.keeps(address, 443)
    assert decider.keeps(packed("127.0.0.1"), 443)
    decider.closed_loopback_ports.add(443)
    assert not decider.keeps(packed("127.0.0.1"), 443)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "fd00::1", "::1", "64:ff9b::a00:1"],
)
def test_names_do_not_lead_inward(address: str) -> None:
    assert is_inward(packed(address))
    assert not Decider(parse_policy(SPEC), lambda: 0.0).pin(packed(address), "cdn.hf.co", 60)


def test_one_destination_has_one_form() -> None:
    assert fold(packed("::ffff:10.0.0.1")) == packed("10.0.0.1")
    assert {packed(each) for each in ("::", "::1", "0.0.0.0", "127.0.0.1")} == {b"\x7f\0\0\1"}


@pytest.mark.parametrize(
    ("name", "port", "command", "sign"),
    [
        ("na.rplant.xyz", 17155, "", "pool-name"),
        ("stratum-eu.rplant.xyz", 443, "", "pool-name"),
        ("xrplant.xyz", 443, "", ""),
        ("", 17155, "", "pool-port"),
        ("", 443, "./SRBMiner-MULTI --pool x", "miner-command"),
        ("huggingface.co", 443, "python serve.py", ""),
    ],
)
def test_signs_of_mining(name: str, port: int, command: str, sign: str) -> None:
    assert mining_sign(name, port, command) == sign


@given(st.sets(st.sampled_from(FACTS)), st.booleans(), st.booleans(), st.booleans())
def test_levels_are_honest(held: set[str], audit: bool, require: bool, empty: bool) -> None:
    spec: dict[str, Any] = {"mode": "Audit" if audit else "Enforce", "requireEnforced": require}
    policy = parse_policy(spec if empty else {**spec, "allow": SPEC["allow"]})
    rung = climb(dict.fromkeys(held, True), policy)
    level = level_of(rung, policy)
    assert rung is None or rung.needs <= held
    assert (level == "Enforced") <= (not audit and rung is not None and not rung.leaks)
    assert (level == "BestEffort") <= (not require and not audit)
    assert (level == "Refused") == (require and not audit and rung is None)
