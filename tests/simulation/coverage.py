"""What the schedules must reach, enumerated from the code itself."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field

from garrison.api.account import MintStatus
from garrison.api.lease import PHASES
from garrison.controllers import account, secrets, writes
from garrison.core import lifecycle
from garrison.ports.credentials import Issuer
from garrison.ports.identity import Identities
from garrison.ports.kube import Kube
from garrison.ports.market import LeaseGateway, Market, Minter
from garrison.ports.probe import Prober, Screen
from garrison.ports.registry import Registry
from garrison.ports.sentinel import Bootstraps, Sentinel

PORTS = {
    "market": Market,
    "minter": Minter,
    "gateway": LeaseGateway,
    "kube": Kube,
    "prober": Prober,
    "screen": Screen,
    "registry": Registry,
    "sentinel": Sentinel,
    "bootstraps": Bootstraps,
    "identities": Identities,
    "issuer": Issuer,
}
LATER = frozenset({"identities.context", "gateway.manifest"})
"""operations that the engine does not call: TLS contexts are for adapters, manifests for commands"""
AGAIN = "Refused, and asked for again"
REPEATS = frozenset({"Missed", "Unanswered", "Missed, and passed again", "Replaced"})
"""what can become of the repeated benchmark of a replica that serves"""
ACTIONS = (
    lifecycle.Action,
    account.AccountAction,
    writes.WorkloadAction,
    secrets.SecretAction,
)


def operations() -> frozenset[str]:
    """Return every asynchronous operation of every port."""
    return frozenset(
        f"{port}.{name}"
        for port, protocol in PORTS.items()
        for name, member in inspect.getmembers(protocol, inspect.iscoroutinefunction)
        if not name.startswith("_")
    )


def fatal(seed: int) -> str:
    """Return the operation after which operators die often in a seed: each in turn.

    Every round begins one further, so that each meets all kinds of seeds.
    """
    found = sorted(operations() - LATER)
    return found[(seed + seed // len(found)) % len(found)]


def actions() -> frozenset[str]:
    """Return the class name of every action of every controller."""
    return frozenset(each.__name__ for union in ACTIONS for each in typing.get_args(union))


def mints() -> frozenset[str]:
    """Return what can become of a mint, and that one which was refused is asked for again."""
    outcomes = typing.get_args(typing.get_type_hints(MintStatus)["outcome"])
    return frozenset((*outcomes, AGAIN))


@dataclass(slots=True)
class Reached:
    """What some schedules have reached."""

    operations: set[str] = field(default_factory=set)
    chaos: set[str] = field(default_factory=set)
    """operations that have ended in the chaos, where an operator may die of them"""
    crashed_after: set[str] = field(default_factory=set)
    actions: set[str] = field(default_factory=set)
    phases: set[str] = field(default_factory=set)
    mints: set[str] = field(default_factory=set)
    repeats: set[str] = field(default_factory=set)

    def add(self, other: Reached) -> None:
        for name in (
            "operations",
            "chaos",
            "crashed_after",
            "actions",
            "phases",
            "mints",
            "repeats",
        ):
            getattr(self, name).update(getattr(other, name))

    def missing(self) -> dict[str, list[str]]:
        """Return what no schedule has reached, by sort."""
        wanted = operations() - LATER
        gaps = {
            "operations": wanted - self.operations,
            "crashes after": wanted - self.crashed_after,
            "actions": actions() - self.actions,
            "phases": frozenset(PHASES) - self.phases,
            "mints": mints() - self.mints,
            "repeats": REPEATS - self.repeats,
        }
        return {sort: sorted(found) for sort, found in gaps.items() if found}


def union(parts: Iterable[Reached]) -> Reached:
    """Return everything that any part has reached."""
    whole = Reached()
    for each in parts:
        whole.add(each)
    return whole
