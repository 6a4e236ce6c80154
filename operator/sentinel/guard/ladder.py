"""Which way of enforcing a machine allows, the strongest first, and what each one leaks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sentinel.guard.policy import Policy

COPY, OWN, RELAY, NONE = "copy", "own", "relay", "none"
"""How connects are made: on a copy of the workload's socket, on sockets that the guard made for it,
by relaying out of a namespace, not at all."""
UDP_NETNS, UDP_DENY, UDP_DNS, UDP_ALLOW = "netns", "deny", "dns", "allow"

ENFORCED, BEST_EFFORT = "Enforced", "BestEffort"
DECLARED_ONLY, REFUSED = "DeclaredOnly", "Refused"

NOTIFICATION, MEMORY, DESCRIPTORS = "userNotification", "readMemory", "copyDescriptors"
LANDLOCK, NAMESPACES, FILTER = "landlock", "userNamespaces", "seccompFilter"
FACTS = (NOTIFICATION, MEMORY, DESCRIPTORS, LANDLOCK, NAMESPACES, FILTER)

DNS_LEAK = "UDP: sendmsg() with IP_PKTINFO reaches hosts on the same link, or behind proxy ARP"
_NO_UDP = "no UDP: programs on musl, and static Go programs, cannot resolve names"
_LATE = (
    "a server is told 0.1 seconds late, or a little more, that its client closed the connection; "
    "of more than 512 connections a new policy ends the newest"
)
_PEER = "peers of Unix sockets see the guard's process id"
_RELAYED = (
    "connects to allowed addresses succeed at once and fail later; attempts on addresses are "
    "refused by the kernel and not recorded; "
    "servers of the workload are reachable through the guard only"
)
_BLUNT = "nothing is recorded; loopback and Unix sockets with names over 13 bytes are refused too"


class Rung(NamedTuple):
    """One way of enforcing: what it needs, how it works, what it does not do."""

    name: str
    needs: frozenset[str]
    connect: str
    udp: str
    leaks: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


_SEEN = frozenset({NOTIFICATION, MEMORY})
_COPIED = _SEEN | {DESCRIPTORS}
RUNGS = (
    Rung("strict", _COPIED | {LANDLOCK, NAMESPACES}, COPY, UDP_NETNS),
    Rung("strict-tcp", _COPIED | {LANDLOCK}, COPY, UDP_DENY, limits=(_NO_UDP,)),
    Rung("emulated", _COPIED | {NAMESPACES}, COPY, UDP_NETNS, limits=(_PEER,)),
    Rung("emulated-tcp", _COPIED, COPY, UDP_DENY, limits=(_NO_UDP, _PEER)),
    Rung("addfd", _SEEN | {NAMESPACES}, OWN, UDP_NETNS, limits=(_LATE,)),
    Rung("addfd-tcp", _SEEN, OWN, UDP_DENY, limits=(_NO_UDP, _LATE)),
    Rung("relay", frozenset({FILTER, NAMESPACES}), RELAY, UDP_NETNS, limits=(_RELAYED,)),
    Rung("deny-all", frozenset({FILTER}), NONE, UDP_DENY, limits=(_BLUNT,)),
    Rung("dns", _COPIED, COPY, UDP_DNS, leaks=(DNS_LEAK,)),
    Rung("addfd-dns", _SEEN, OWN, UDP_DNS, leaks=(DNS_LEAK,), limits=(_LATE,)),
)
"""From the strongest to the weakest."""
OBSERVING = (
    Rung("observe", _COPIED, COPY, UDP_ALLOW, leaks=("Audit lets everything through",)),
    Rung("observe-addfd", _SEEN, OWN, UDP_ALLOW, leaks=("Audit lets everything through",)),
)
"""What Audit uses: names and TCP destinations are seen, nothing is held back."""


def climb(facts: Mapping[str, object], policy: Policy, *, only: str = "") -> Rung | None:
    """Return the strongest rung that the machine carries and the policy takes, or None.

    A policy that does not require enforcement takes one that leaks before one without UDP, because
    more programs work on it. ``only`` names one rung, for tests.
    """
    held = {fact for fact in FACTS if facts.get(fact)}
    for rung in _order(policy):
        if rung.needs <= held and (not only or rung.name == only):
            return rung
    return None


def missing(facts: Mapping[str, object]) -> str:
    """Return what the machine lacks, in words."""
    return ", ".join(fact for fact in FACTS if not facts.get(fact)) or "nothing"


def level_of(rung: Rung | None, policy: Policy) -> str:
    """Return how far the policy holds; Audit is never called enforced."""
    if not policy.enforces:
        return DECLARED_ONLY
    if rung is None:
        return REFUSED if policy.require_enforced else DECLARED_ONLY
    return BEST_EFFORT if rung.leaks else ENFORCED


def _order(policy: Policy) -> list[Rung]:
    if not policy.enforces:
        return list(OBSERVING)
    fitting = [rung for rung in RUNGS if rung.connect != NONE or policy.reaches_nothing]
    if policy.require_enforced:
        return [rung for rung in fitting if not rung.leaks]
    return sorted(fitting, key=lambda rung: rung.udp == UDP_DENY)
