"""Faults switched on by request: the market's, the providers' and the network's bad days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import TypeAdapter

from akash_sandbox.hostility import Hostility

CONSOLE = "console"
"""The scope of the Console API; every other scope is a provider's or a chain node's name."""

Garbled = Literal["", "html", "truncated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFault:
    """What goes wrong at one HTTP server.

    ``status`` answers every request to ``path`` and below with that code, ``errors_left`` times (None:
    until cleared); 429 and 503 say ``retry_after`` seconds, unless that is None.
    ``hang_seconds`` keeps requests waiting; ``drops_left`` writes take effect without an answer.
    """

    status: int = 0
    path: str = "/"
    retry_after: int | None = None
    errors_left: int | None = None
    hang_seconds: float = 0.0
    drops_left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFault:
    """What is wrong with one provider. ``slowdown`` 2 serves at half the promised speed."""

    dead: bool = False
    silent: bool = False
    latency_ms: int = 0
    bytes_per_second: int = 0
    slowdown: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFault:
    """What is wrong with one node of the chain.

    ``lag_blocks`` is how far it is behind. ``garbled`` answers are HTML pages or cut in the middle,
    ``garbled_left`` times (None: until cleared). It denies to know ``forgets_left`` transactions.
    """

    mempool_full: bool = False
    lag_blocks: int = 0
    garbled: Garbled = ""
    garbled_left: int | None = None
    forgets_left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSet:
    """Every fault that is on; a missing key means that nothing is wrong there.

    ``gas_percent`` is what a transaction uses in a block, of what its simulation said.
    """

    no_bids: bool = False
    http: Mapping[str, HttpFault] = field(default_factory=dict)
    providers: Mapping[str, ProviderFault] = field(default_factory=dict)
    nodes: Mapping[str, NodeFault] = field(default_factory=dict)
    gas_percent: int = 100
    hostile: Mapping[str, Hostility] = field(default_factory=dict)


_SET = TypeAdapter(FaultSet)
_NO_HTTP = HttpFault()
_NO_PROVIDER = ProviderFault()
_NO_NODE = NodeFault()
_NO_HOSTILITY = Hostility()


class Faults:
    """The faults that are on at the moment; counted ones use themselves up."""

    def __init__(self, current: FaultSet | None = None) -> None:
        self.current = current or FaultSet()

    def http(self, scope: str) -> HttpFault:
        """Return what is wrong at the Console or at a provider's gateway."""
        return self.current.http.get(scope, _NO_HTTP)

    def provider(self, name: str) -> ProviderFault:
        """Return what is wrong with a provider."""
        return self.current.providers.get(name, _NO_PROVIDER)

    def node(self, name: str) -> NodeFault:
        """Return what is wrong with a node of the chain."""
        return self.current.nodes.get(name, _NO_NODE)

    def hostility(self, scope: str) -> Hostility:
        """Return what a provider does on purpose; a server that is no provider can only read."""
        return self.current.hostile.get(scope, _NO_HOSTILITY)

    def set_hostility(self, scope: str, hostility: Hostility) -> None:
        others = {k: v for k, v in self.current.hostile.items() if k != scope}
        kept = others if hostility == _NO_HOSTILITY else {**others, scope: hostility}
        self.current = replace(self.current, hostile=kept)

    def set_node(self, name: str, fault: NodeFault) -> None:
        others = {k: v for k, v in self.current.nodes.items() if k != name}
        kept = others if fault == _NO_NODE else {**others, name: fault}
        self.current = replace(self.current, nodes=kept)

    def set_gas_percent(self, percent: int) -> None:
        self.current = replace(self.current, gas_percent=percent)

    def take_garbled(self, node: str) -> Garbled:
        """Return how this answer of a node must be spoilt, "" when it need not."""
        fault = self.node(node)
        if not fault.garbled or fault.garbled_left is None:
            return fault.garbled
        left = fault.garbled_left - 1
        kind: Garbled = fault.garbled if left > 0 else ""
        self.set_node(node, replace(fault, garbled=kind, garbled_left=left or None))
        return fault.garbled

    def take_forget(self, node: str) -> bool:
        """Return whether a node must deny to know this transaction."""
        fault = self.node(node)
        if fault.forgets_left <= 0:
            return False
        self.set_node(node, replace(fault, forgets_left=fault.forgets_left - 1))
        return True

    def set_http(self, scope: str, fault: HttpFault) -> None:
        others = {k: v for k, v in self.current.http.items() if k != scope}
        kept = others if fault == _NO_HTTP else {**others, scope: fault}
        self.current = replace(self.current, http=kept)

    def set_provider(self, name: str, fault: ProviderFault) -> None:
        others = {k: v for k, v in self.current.providers.items() if k != name}
        kept = others if fault == _NO_PROVIDER else {**others, name: fault}
        self.current = replace(self.current, providers=kept)

    def set_no_bids(self, on: bool) -> None:
        """Silence every provider at once, or let them bid again."""
        self.current = replace(self.current, no_bids=on)

    def clear(self) -> None:
        """Switch everything off."""
        self.current = FaultSet()

    def take_error(self, scope: str, path: str) -> HttpFault | None:
        """Return the fault that this request must fail with, None when it may pass."""
        fault = self.http(scope)
        if not fault.status or not path.startswith(fault.path):
            return None
        if fault.errors_left is None:
            return fault
        left = fault.errors_left - 1
        status = fault.status if left > 0 else 0
        self.set_http(scope, replace(fault, status=status, errors_left=left or None))
        return fault

    def take_drop(self, scope: str) -> bool:
        """Return whether the answer to this write must never arrive."""
        fault = self.http(scope)
        if fault.drops_left <= 0:
            return False
        self.set_http(scope, replace(fault, drops_left=fault.drops_left - 1))
        return True

    def as_json(self) -> dict[str, Any]:
        """Return the faults as a JSON object; ``faults_from_json`` reads it back."""
        value: dict[str, Any] = _SET.dump_python(self.current, mode="json")
        return value


def faults_from_json(value: Any) -> Faults:
    """Return the faults of an earlier run; raises pydantic's ValidationError."""
    return Faults(None if value is None else _SET.validate_python(value))
