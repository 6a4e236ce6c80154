"""An egress policy: the ``spec`` of an EgressPolicy, read strictly, and what it allows. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from sentinel.guard.addresses import Network
from sentinel.guard.errors import PolicyError

ENFORCE, AUDIT = "Enforce", "Audit"
MAX_RULES = 1000
DEFAULT_PORTS = frozenset({443})
"""As in the custom resource."""
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_MAX_NAME = 253


class HostRule(NamedTuple):
    """``name`` itself or, with ``below``, every name under it; ``ports`` None means every port."""

    name: str
    below: bool
    ports: frozenset[int]

    def matches(self, name: str) -> bool:
        """Return whether a lower-case name without final dot is meant."""
        return name.endswith("." + self.name) if self.below else name == self.name


class NetworkRule(NamedTuple):
    """Every address of ``network``."""

    network: Network
    ports: frozenset[int]

    def matches(self, address: bytes) -> bool:
        """Return whether a folded address is inside."""
        return len(address) * 8 == self.network.max_prefixlen and (
            int.from_bytes(address, "big") & int(self.network.netmask)
            == int(self.network.network_address)
        )


class Policy(NamedTuple):
    """What may be reached over TCP; nothing else may."""

    mode: str = ENFORCE
    require_enforced: bool = True
    hosts: tuple[HostRule, ...] = ()
    networks: tuple[NetworkRule, ...] = ()

    @property
    def enforces(self) -> bool:
        """False in Audit, which lets everything through."""
        return self.mode == ENFORCE

    @property
    def reaches_nothing(self) -> bool:
        """Whether the list is empty: no name is answered, no address reached."""
        return not (self.hosts or self.networks)

    def ports_of(self, name: str) -> list[frozenset[int]]:
        """Return the port sets of the rules that name matches; empty when it is not allowed."""
        return [rule.ports for rule in self.hosts if rule.matches(name)]

    def network_allows(self, address: bytes, port: int) -> bool:
        """Return whether a CIDR rule lists the folded address with the port."""
        return any(port in rule.ports and rule.matches(address) for rule in self.networks)


def read_policy(text: str) -> Policy:
    """Return the policy of a JSON text: a spec, or a whole EgressPolicy. Raises PolicyError."""
    try:
        given = json.loads(text)
    except ValueError as error:
        raise PolicyError(f"the policy is not JSON: {error}") from None
    if isinstance(given, dict) and given.get("kind") == "EgressPolicy":
        given = given.get("spec") or {}
    return parse_policy(given)


def parse_policy(spec: Any) -> Policy:
    """Return the policy of an EgressPolicy's ``spec``. Raises PolicyError that names the field."""
    fields = _object(spec, "spec", {"mode", "requireEnforced", "allow"})
    mode = fields.get("mode", ENFORCE)
    if mode not in (ENFORCE, AUDIT):
        raise PolicyError(f"mode: {mode!r} is neither {ENFORCE!r} nor {AUDIT!r}")
    require = fields.get("requireEnforced", True)
    if not isinstance(require, bool):
        raise PolicyError(f"requireEnforced: {require!r} is neither true nor false")
    allow = fields.get("allow", [])
    if not isinstance(allow, list) or len(allow) > MAX_RULES:
        raise PolicyError(f"allow: give a list of at most {MAX_RULES} rules")
    rules = [_rule(each, f"allow[{index}]") for index, each in enumerate(allow)]
    return Policy(
        mode=mode,
        require_enforced=require,
        hosts=tuple(each for each in rules if isinstance(each, HostRule)),
        networks=tuple(each for each in rules if isinstance(each, NetworkRule)),
    )


def _object(given: Any, where: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise PolicyError(f"{where}: give an object, not {type(given).__name__}")
    if unknown := sorted(given.keys() - known):
        raise PolicyError(
            f"{where}: unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}"
        )
    return given


def _rule(given: Any, where: str) -> HostRule | NetworkRule:
    fields = _object(given, where, {"host", "cidr", "ports"})
    if ("host" in fields) == ("cidr" in fields):
        raise PolicyError(f"{where}: give exactly one of host and cidr")
    ports = _ports(fields.get("ports"), f"{where}.ports")
    if "cidr" in fields:
        return NetworkRule(network=_network(fields["cidr"], f"{where}.cidr"), ports=ports)
    return _host(fields["host"], f"{where}.host", ports)


def _ports(given: Any, where: str) -> frozenset[int]:
    if given is None:
        return DEFAULT_PORTS
    if not isinstance(given, list) or not given:
        raise PolicyError(f"{where}: give at least one port, or leave the field out for 443")
    for port in given:
        if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 1 << 16:
            raise PolicyError(f"{where}: {port!r} is not a port from 1 to 65535")
    return frozenset(given)


def _network(given: Any, where: str) -> Network:
    if not isinstance(given, str):
        raise PolicyError(f"{where}: give a text such as 203.0.113.0/24")
    try:
        return ipaddress.ip_network(given)
    except ValueError as error:
        raise PolicyError(f"{where}: {error}") from None


def _host(given: Any, where: str, ports: frozenset[int]) -> HostRule:
    if not isinstance(given, str):
        raise PolicyError(f"{where}: give a name such as huggingface.co or *.hf.co")
    name = given.lower().rstrip(".")
    below = name.startswith("*.")
    name = name[2:] if below else name
    labels = name.split(".")
    if len(name) > _MAX_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise PolicyError(
            f"{where}: {given!r} is not a host name; a wildcard is the whole first label, as in "
            "*.hf.co, and other alphabets are written in their xn-- form"
        )
    if labels[-1].isdigit():
        raise PolicyError(f"{where}: {given!r} is an address; write it as cidr")
    return HostRule(name=name, below=below, ports=ports)
