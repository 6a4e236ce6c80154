"""Nothing leaves past the guard: each attempt puts packets on the wire unguarded, none guarded."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sentinel.guard.conftest import NOBODY, Runner
from tests.sentinel.guard.netns import ALLOWED, BARE_ROOT, FORBIDDEN, FORBIDDEN6, NEAR, Wire
from tests.sentinel.guard.rungs import VARIANTS

BASE = 2000
TYPICAL = ("strict", "addfd-tcp", "relay")
PORTS = [80, *range(BASE, BASE + 60)]
POLICY = {"allow": [{"cidr": f"{each}/32", "ports": PORTS} for each in (ALLOWED, NEAR)]}
MUST_LEAVE = {
    *("connect4", "connect6", "connect_mapped", "connect_nonblocking", "connect_high_bits"),
    *("connect_long", "connect_protocol", "fast_open_sendto", "fast_open_sendmsg"),
    *("fast_open_sendmmsg", "fast_open_option", "udp_sendto", "udp_sendmsg", "udp_sendmmsg"),
    *("udp_connected", "udp6_sendto", "udp_unspecified", "udp_packet_info", "udp_undo_lock"),
    *("raw_udp", "packet_socket", "source_route", "daemonized", "threaded", "user_namespace"),
    *("passed_by_message", "accepted_again", "reconnected", "own_filter", "other_user"),
    *("hidden_memory", "executed_from_memory", "guard_itself"),
}
"""What a kernel with nothing special can do; the others depend on how it was built."""


def arguments(program: Path) -> list[str]:
    return [str(program), FORBIDDEN, FORBIDDEN6, str(BASE), ALLOWED, NEAR]


def results(output: str) -> dict[str, str]:
    return {m[1]: m[2] for m in re.finditer(r"^\d+ (\w+) (.*)$", output, re.MULTILINE)}


def left(wire: Wire, names: list[str]) -> set[str]:
    """Return the attempts whose packets were seen, by port or protocol."""
    by_port = {names[each.port - BASE] for each in wire.seen if 0 <= each.port - BASE < len(names)}
    icmp = {"raw_icmp"} if any(each.protocol == 1 for each in wire.forbidden()) else set()
    return by_port | icmp


@pytest.mark.timeout(120)
def test_unguarded_every_attempt_leaves(clean: Wire, compiled: Callable[[str], Path]) -> None:
    done = clean.run(arguments(compiled("bypass")))
    names = list(results(done.stdout))
    assert left(clean, names) >= MUST_LEAVE
    assert {"raw_icmp"} <= left(clean, names)


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
    assert clean.forbidden() == []


def names_of(program: str, wire: Wire) -> list[str]:
    return wire.run([program, "names"]).stdout.split()
