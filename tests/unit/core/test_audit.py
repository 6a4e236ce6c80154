"""What an EgressPolicy's status makes of what its replicas reported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.api.egress import SPEC_ADAPTER, DeniedStatus, SuggestedAllow
from garrison.api.parsing import dump, parse
from garrison.core.audit import MAX_SUGGESTED, merged, suggested

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def denied(destination: str, port: int = 443, count: int = 1, **more: object) -> DeniedStatus:
    given: dict[str, object] = {"last_seen": NOON, **more}
    return DeniedStatus(destination=destination, port=port, count=count, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param([denied("hub.example")], [("hub.example", None, (443,))], id="name"),
        pytest.param([denied("203.0.113.9")], [(None, "203.0.113.9/32", (443,))], id="IPv4"),
        pytest.param([denied("2001:db8::1")], [(None, "2001:db8::1/128", (443,))], id="IPv6"),
        pytest.param(
            [denied("hub.example", 80), denied("hub.example", 443)],
            [("hub.example", None, (80, 443))],
            id="two ports, one rule",
        ),
        pytest.param([denied("pool.example", mining="a pool")], [], id="never a mining pool"),
        pytest.param([denied("hub.example", 53, protocol="udp")], [], id="no rule is for UDP"),
        pytest.param([denied("hub.example", 0)], [], id="a name that was only asked for"),
        pytest.param([denied("_spf.example")], [], id="a name that no rule can hold"),
        pytest.param([denied("Hub.Example")], [], id="nor one in capitals"),
    ],
)
def test_suggestions(
    seen: list[DeniedStatus], expected: list[tuple[str | None, str | None, tuple[int, ...]]]
) -> None:
    assert suggested(seen) == tuple(
        SuggestedAllow(host=host, cidr=cidr, ports=ports) for host, cidr, ports in expected
    )


@given(
    st.lists(
        st.builds(
            denied,
            st.one_of(
                st.text(max_size=253), st.ip_addresses().map(str), st.from_regex(r"[a-z_.]+")
            ),
            st.integers(0, 65535),
        ),
        max_size=80,
    )
)
def test_what_is_suggested_can_be_taken_over(seen: list[DeniedStatus]) -> None:
    """The rules go into a policy's allow as they stand, whatever a container asked for."""
    found = suggested(seen)
    rules = [
        {key: list(value) if key == "ports" else value for key, value in each.items() if value}
        for each in ({"host": rule.host, "cidr": rule.cidr, "ports": rule.ports} for rule in found)
    ]
    policy = parse(SPEC_ADAPTER, {"allow": rules}, "spec")
    assert dump(SPEC_ADAPTER, policy)["allow"] == rules
    assert len(found) <= MAX_SUGGESTED


def test_one_destination_is_counted_once() -> None:
    later = NOON + timedelta(minutes=1)
    assert merged(
        [
            denied("hub.example", count=2, process="curl"),
            denied("other.example", count=9),
            denied("hub.example", count=3, process="python", last_seen=later),
            denied("hub.example", 80),
        ]
    ) == (
        denied("other.example", count=9),
        denied("hub.example", count=5, process="python", last_seen=later),
        denied("hub.example", 80),
    )


def test_a_mining_pool_stays_one() -> None:
    later = NOON + timedelta(minutes=1)
    (found,) = merged(
        [denied("pool.example", mining="a list"), denied("pool.example", last_seen=later)]
    )
    assert (found.mining, found.count, found.last_seen) == ("a list", 2, later)
