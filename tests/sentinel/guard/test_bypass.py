"""Nothing leaves past the guard: each attempt puts packets on the wire unguarded, none guarded."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sentinel.guard.conftest import NOBODY, Runner
from tests.sentinel.guard.netns import (
    ALLOWED,
    ALLOWED6,
    BARE_ROOT,
    FORBIDDEN,
    FORBIDDEN6,
    NEAR,
    RESOLVER,
    Wire,
)
from tests.sentinel.guard.rungs import VARIANTS

BASE, OTHER = 2000, 1000
"""The first attempt's port, and how far above it the port is that no rule allows."""
TYPICAL = ("strict", "addfd-tcp", "relay")
PORTS = [80, *range(BASE, BASE + 60)]
PLACES = (f"{ALLOWED}/32", f"{NEAR}/32", f"{ALLOWED6}/128")
POLICY = {"allow": [{"cidr": each, "ports": PORTS} for each in PLACES]}
MUST_LEAVE = {
    *("connect4", "connect6", "connect_mapped", "connect_nonblocking", "connect_high_bits"),
    *("connect_long", "connect_protocol", "fast_open_sendto", "fast_open_sendmsg"),
    *("fast_open_sendmmsg", "fast_open_option", "udp_sendto", "udp_sendmsg", "udp_sendmmsg"),
    *("udp_connected", "udp6_sendto", "udp_unspecified", "udp_packet_info", "udp_undo_lock"),
    *("raw_udp", "packet_socket", "source_route", "daemonized", "threaded", "user_namespace"),
    *("passed_by_message", "accepted_again", "reconnected", "own_filter", "other_user"),
    *("hidden_memory", "executed_from_memory", "guard_itself", "denied_port", "denied_port_udp"),
    *("allowed_port_udp", "routing_header"),
}
"""What a kernel with nothing special can do; the others depend on how it was built."""
WITHHELD = {
    "key_request": "Function not implemented",
    "bpf_call": "Operation not permitted",
    "kernel_crypto": "Address family not supported by protocol",
    "vsock": "Address family not supported by protocol",
}
"""What leaves no packet on the wire, and how it is refused."""


def arguments(program: Path) -> list[str]:
    places = (FORBIDDEN, FORBIDDEN6, str(BASE), ALLOWED, NEAR, RESOLVER, ALLOWED6)
    return [str(program), *places]


def results(output: str) -> dict[str, str]:
    return {m[1]: m[2] for m in re.finditer(r"^\d+ (\w+) (.*)$", output, re.MULTILINE)}


def left(wire: Wire, names: list[str]) -> set[str]:
    """Return the attempts whose packets were seen, by port or protocol."""
    wire.catch_up()
    numbers = {each.port - first for each in wire.seen for first in (BASE, BASE + OTHER)}
    odd = {1: "raw_icmp", 43: "routing_header"}
    to_others = {each.protocol for each in wire.seen if each.destination in (FORBIDDEN, FORBIDDEN6)}
    return {
        *(names[number] for number in numbers if 0 <= number < len(names)),
        *(name for protocol, name in odd.items() if protocol in to_others),
    }


@pytest.mark.timeout(120)
def test_unguarded_every_attempt_leaves(clean: Wire, compiled: Callable[[str], Path]) -> None:
    done = clean.run(arguments(compiled("bypass")))
    said = results(done.stdout)
    names = list(said)
    assert left(clean, names) >= MUST_LEAVE
    assert {"raw_icmp"} <= left(clean, names)
    assert clean.questions == ["stolen.example"] * 2
    assert not {"key_request", "bpf_call"} & {
        each for each in said if said[each] == WITHHELD.get(each)
    }
    assert ALLOWED in {each.destination for each in clean.forbidden(PORTS)}


CASES = [
    pytest.param(
        *variant,
        user,
        id=f"{variant[0]} as {who}",
        marks=pytest.mark.long if user == BARE_ROOT and variant[0] not in TYPICAL else (),
    )
    for variant in VARIANTS
    for user, who in ((0, "root"), (BARE_ROOT, "root without rights"), (NOBODY, "nobody"))
]


@pytest.mark.parametrize(("name", "options", "user"), CASES)
def test_guarded_nothing_leaves(
    name: str,
    options: tuple[str, ...],
    *,
    user: int,
    clean: Wire,
    compiled: Callable[[str], Path],
    guarded: Runner,
) -> None:
    policy = {"allow": []} if name == "deny-all" else POLICY
    program = arguments(compiled("bypass"))
    done = guarded(*program, policy=policy, options=options, on=clean, user=user)
    assert done.start["level"] == "Enforced", done.start
    assert done.start["rung"] == options[1]
    said = results(done.output)
    assert len(said) == len(names_of(program[0], clean)), done.errors
    assert said["connect4"] != "Success"
    assert said["guard_itself"] != "Success"
    assert clean.forbidden(PORTS) == []
    assert clean.questions == []
    assert {each: said[each] for each in WITHHELD} == WITHHELD


def names_of(program: str, wire: Wire) -> list[str]:
    return wire.run([program, "names"]).stdout.split()
