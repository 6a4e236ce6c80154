"""The market and everything else that operators reach through ports, in memory, for one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from garrison.adapters.memory.bootstraps import MemoryBootstraps
from garrison.adapters.memory.clock import LoopClock, SeededChance
from garrison.adapters.memory.exchanges import MemoryExchanges
from garrison.adapters.memory.faults import Hook
from garrison.adapters.memory.gateway import MemoryGateway
from garrison.adapters.memory.identities import MemoryIdentities
from garrison.adapters.memory.issuer import MemoryIssuer
from garrison.adapters.memory.kube import MemoryKube
from garrison.adapters.memory.logins import MemoryLogins
from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.memory.minter import MemoryMinter
from garrison.adapters.memory.probe import MemoryProber, MemoryScreen
from garrison.adapters.memory.registry import MemoryRegistry
from garrison.adapters.memory.sentinel import MemorySentinel
from garrison.api.money import MicroUSD
from garrison.controllers.assembly import Ports
from kube_light.store import Store
from tests.simulation.scenario import CRASHING, MISSING, NEWER, providers

POOR, RICH = MicroUSD(60_000_000), MicroUSD(1_000_000_000)
"""what an account has that can mint more, and one that cannot"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPorts:
    """Shared by all operators of a seed; what they hold is the truth."""

    clock: LoopClock
    market: MemoryMarket
    minter: MemoryMinter
    gateway: MemoryGateway
    sentinel: MemorySentinel
    bootstraps: MemoryBootstraps
    issuer: MemoryIssuer
    prober: MemoryProber
    registry: MemoryRegistry
    logins: MemoryLogins
    exchanges: MemoryExchanges

    @classmethod
    def of(cls, market: MemoryMarket, clock: LoopClock) -> MemoryPorts:
        """Return the ports around a market; some images crash, are missing, or are large."""
        minter = MemoryMinter(market)
        gateway = MemoryGateway(clock=clock, market=market)
        gateway.crashing.add(CRASHING)
        sentinel = MemorySentinel(market=market, gateway=gateway)
        registry = MemoryRegistry(market.faults)
        registry.missing.add(MISSING)
        registry.large.add(NEWER)
        return cls(
            clock=clock,
            market=market,
            minter=minter,
            gateway=gateway,
            sentinel=sentinel,
            bootstraps=MemoryBootstraps(market),
            issuer=MemoryIssuer(market),
            prober=MemoryProber(market=market, gateway=gateway, sentinel=sentinel),
            registry=registry,
            logins=MemoryLogins(market),
            exchanges=MemoryExchanges(market, gateway, minter),
        )

    def given(self, store: Store, seed: int) -> Ports:
        """Return what one operator is given: its randomness is its own."""
        return Ports(
            kube=MemoryKube(store, self.market.faults),
            clock=self.clock,
            chance=SeededChance(seed),
            exchanges=self.exchanges,
            registry=self.registry,
            pull_secrets=self.registry,
            logins=self.logins,
            kept_logins=self.logins,
            screen=MemoryScreen(self.market),
            prober=self.prober,
            sentinel=self.sentinel,
            bootstraps=self.bootstraps,
            identities=MemoryIdentities(self.market),
            issuer=self.issuer,
        )


def market_of(chance: random.Random, clock: LoopClock, hook: Hook, *, seed: int) -> MemoryMarket:
    """Return the market of a seed.

    In one seed of three, that of a chain, the operator names deployments itself, and mints its credit;
    in one of nine the market does not take the names that the operator proposes.
    """
    return MemoryMarket(
        clock=clock,
        providers=providers(chance),
        hook=hook,
        chooses_id=is_chain(seed),
        keeps_ids=seed % 9 != 3,
        balance=POOR if is_chain(seed) else RICH,
    )


def is_chain(seed: int) -> bool:
    """Return whether the market of a seed is a chain's."""
    return seed % 3 == 0
