"""Known mining pools: an administrator's list beside what the sentinel knows, and what a sign means.

The sentinel knows pools by name, ports and miners by their command lines. Addresses of pools move, and
public lists of them grow stale within weeks: they are the administrator's to bring and to renew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from garrison.errors import InvalidSpecError
from garrison.ports.sentinel import Denied, View

NAME, ADDRESS, COMMAND, PORT = "pool-name", "pool-address", "miner-command", "pool-port"
_MEANING = {
    NAME: "a known mining pool",
    ADDRESS: "the address of a known mining pool",
    COMMAND: "by a command line that names a miner",
    PORT: "a port that mining pools use",
}
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]*")
MAX_ENTRIES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """Names, each with all below it; networks as first addresses by version and length of prefix."""

    names: frozenset[str] = frozenset()
    networks: Mapping[tuple[int, int], frozenset[int]] = field(default_factory=dict)


NO_POOLS = Pools()


def parse_pools(text: str, where: str) -> Pools:
    """Return the list of a text: a host name, an address or a CIDR a line, after ``#`` a comment.

    Raises InvalidSpecError that names the line.
    """
    names: set[str] = set()
    networks: dict[tuple[int, int], set[int]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        network = _network(entry)
        name = entry.lower().removeprefix("*.").rstrip(".")
        if network is not None:
            slot = (network.version, network.prefixlen)
            networks.setdefault(slot, set()).add(int(network.network_address))
        elif _HOST.fullmatch(name):
            names.add(name)
        else:
            raise InvalidSpecError(
                f"{where}, line {number}: {entry[:80]!r} is no host name, address or CIDR such as "
                "pool.example, 203.0.113.9 or 203.0.113.0/24; after # comes a comment"
            )
        if number > MAX_ENTRIES:
            raise InvalidSpecError(f"{where}: has more than {MAX_ENTRIES} lines; give fewer")
    frozen = {slot: frozenset(found) for slot, found in networks.items()}
    return Pools(names=frozenset(names), networks=frozen)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def sign_of(pools: Pools, name: str, address: str) -> str | None:
    """Return what the list says of a destination, None when it is not on it."""
    labels = name.lower().rstrip(".").split(".")
    if any(".".join(labels[start:]) in pools.names for start in range(len(labels))):
        return NAME
    for text in {name, address}:
        if _is_listed(pools, text):
            return ADDRESS
    return None


def _is_listed(pools: Pools, text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    number, bits = int(address), address.max_prefixlen
    return any(
        version == address.version and (number >> (bits - length) << (bits - length)) in found
        for (version, length), found in pools.networks.items()
    )


def marked(view: View, pools: Pools) -> View:
    """Return the view with the destinations that are on the list marked; the sentinel's signs stay."""
    egress = view.egress
    if egress is None or not egress.denied or pools == NO_POOLS:
        return view
    denied = tuple(_marked(each, pools) for each in egress.denied)
    return replace(view, egress=replace(egress, denied=denied))


def _marked(each: Denied, pools: Pools) -> Denied:
    if each.mining in {NAME, ADDRESS}:
        return each
    sign = sign_of(pools, each.destination, each.address)
    return each if sign is None else replace(each, mining=sign)


def meaning(sign: str) -> str:
    """Return what a sign says, and no more: a port alone proves nothing."""
    return _MEANING.get(sign, "what looks like mining")
