"""The controllers on one engine, given their ports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from garrison.controllers.account import AccountController
from garrison.controllers.attestations import Attestations
from garrison.controllers.catalog import Catalog
from garrison.controllers.clients import Clients
from garrison.controllers.contexts import Contexts
from garrison.controllers.dependents import Dependents
from garrison.controllers.directory import Directory
from garrison.controllers.egress import EgressController
from garrison.controllers.images import Images
from garrison.controllers.lease import LeaseController
from garrison.controllers.leftovers import Leftovers
from garrison.controllers.measurements import Measurements
from garrison.controllers.mints import Mints
from garrison.controllers.policy import PolicyController
from garrison.controllers.provider import ProviderController
from garrison.controllers.pulls import Pulls
from garrison.controllers.references import PullSecrets, References
from garrison.controllers.routes import Router
from garrison.controllers.scrapes import Board, Scrapes
from garrison.controllers.secrets import Deliveries, SecretController
from garrison.controllers.sentinels import Sentinels
from garrison.controllers.surveys import Surveys
from garrison.controllers.workload import WorkloadController
from garrison.core.lifecycle import Timing
from garrison.core.mining import NO_POOLS, Pools
from garrison.ports.clock import Chance, Clock
from garrison.ports.credentials import Issuer
from garrison.ports.identity import Identities
from garrison.ports.kube import Kube
from garrison.ports.logins import KeptLogins, Logins
from garrison.ports.market import Exchanges
from garrison.ports.probe import Prober, Screen
from garrison.ports.registry import Registry
from garrison.ports.sentinel import Bootstraps, Sentinel
from garrison.runtime.controller import Controller
from garrison.runtime.engine import RESYNC_SECONDS, WORKERS, Engine
from garrison.runtime.meter import Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything that the operator reaches the outside through."""

    kube: Kube
    clock: Clock
    chance: Chance
    exchanges: Exchanges
    registry: Registry
    pull_secrets: PullSecrets
    logins: Logins
    kept_logins: KeptLogins
    screen: Screen
    prober: Prober
    sentinel: Sentinel
    bootstraps: Bootstraps
    identities: Identities
    issuer: Issuer


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often things are looked at, in seconds, and how many passes run at once."""

    workers: int = WORKERS
    resync: float = RESYNC_SECONDS
    survey: float = 30.0
    timing: Timing = field(default_factory=Timing)


def assemble(
    ports: Ports,
    *,
    installation: str,
    pace: Pace | None = None,
    meter: Meter | None = None,
    board: Board | None = None,
    pools: Pools = NO_POOLS,
) -> Engine:
    """Return an engine with all controllers registered, not yet running; ``board`` gets the figures."""
    pace = pace or Pace()
    engine = Engine(
        kube=ports.kube,
        clock=ports.clock,
        chance=ports.chance,
        meter=meter,
        workers=pace.workers,
        resync_seconds=pace.resync,
    )
    parts = _Parts(
        ports=ports,
        engine=engine,
        catalog=Catalog(engine.cache, ports.kube),
        directory=Directory(),
        references=References(
            jobs=engine.jobs, registry=ports.registry, secrets=ports.pull_secrets, clock=ports.clock
        ),
        board=board or Board(),
        installation=installation,
        pace=pace,
        pools=pools,
    )
    engine.register(parts.controllers())
    leftovers = Leftovers(bootstraps=ports.bootstraps, logins=ports.kept_logins, kube=ports.kube)
    engine.after_resync(leftovers.sweep)
    return engine


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What the controllers are made of."""

    ports: Ports
    engine: Engine
    catalog: Catalog
    directory: Directory
    references: References
    board: Board
    installation: str
    pace: Pace
    pools: Pools

    def controllers(self) -> tuple[Controller[Any, Any], ...]:
        """Return one controller per kind."""
        cache, catalog, clock = self.engine.cache, self.catalog, self.ports.clock
        return (
            self._workloads(),
            self._leases(),
            self._accounts(),
            ProviderController(catalog=catalog, directory=self.directory, clock=clock),
            PolicyController(cache=cache, catalog=catalog, clock=clock),
            SecretController(
                cache=cache,
                catalog=catalog,
                kube=self.ports.kube,
                clock=clock,
                issuer=self.ports.issuer,
            ),
            EgressController(cache=cache, catalog=catalog, clock=clock),
        )

    def _workloads(self) -> WorkloadController:
        ports, images = self.ports, self._images()
        return WorkloadController(
            cache=self.engine.cache,
            catalog=self.catalog,
            kube=ports.kube,
            clock=ports.clock,
            images=images,
            router=Router(kube=ports.kube, screen=ports.screen, clock=ports.clock),
            dependents=Dependents(
                cache=self.engine.cache,
                catalog=self.catalog,
                kube=ports.kube,
                images=images,
                bootstraps=ports.bootstraps,
            ),
            clients=Clients(kube=ports.kube, identities=ports.identities),
        )

    def _images(self) -> Images:
        return Images(
            jobs=self.engine.jobs,
            registry=self.ports.registry,
            secrets=self.ports.pull_secrets,
            references=self.references,
            clock=self.ports.clock,
        )

    def _leases(self) -> LeaseController:
        ports, jobs, clock = self.ports, self.engine.jobs, self.ports.clock
        sentinels = self._sentinels()
        deliveries = Deliveries(catalog=self.catalog, kube=ports.kube, issuer=ports.issuer)
        return LeaseController(
            cache=self.engine.cache,
            catalog=self.catalog,
            kube=ports.kube,
            contexts=self._contexts(sentinels, deliveries),
            exchanges=ports.exchanges,
            measurements=Measurements(
                jobs=jobs, screen=ports.screen, prober=ports.prober, clock=clock
            ),
            sentinels=sentinels,
            scrapes=Scrapes(
                jobs=jobs,
                samples=sentinels.samples,
                relayed=sentinels.relayed,
                board=self.board,
                clock=clock,
            ),
            attestations=Attestations(
                jobs=jobs, references=self.references, sentinels=sentinels, clock=clock
            ),
            pulls=Pulls(
                secrets=ports.pull_secrets,
                logins=ports.logins,
                kept=ports.kept_logins,
                clock=clock,
            ),
            deliveries=deliveries,
            timing=self.pace.timing,
        )

    def _sentinels(self) -> Sentinels:
        return Sentinels(
            jobs=self.engine.jobs,
            screen=self.ports.screen,
            sentinel=self.ports.sentinel,
            bootstraps=self.ports.bootstraps,
            clock=self.ports.clock,
            pools=self.pools,
        )

    def _contexts(self, sentinels: Sentinels, deliveries: Deliveries) -> Contexts:
        return Contexts(
            catalog=self.catalog,
            kube=self.ports.kube,
            clock=self.ports.clock,
            chance=self.ports.chance,
            sentinels=sentinels,
            deliveries=deliveries,
            installation=self.installation,
            timing=self.pace.timing,
        )

    def _accounts(self) -> AccountController:
        ports, jobs = self.ports, self.engine.jobs
        return AccountController(
            cache=self.engine.cache,
            catalog=self.catalog,
            kube=ports.kube,
            clock=ports.clock,
            exchanges=ports.exchanges,
            surveys=Surveys(
                jobs=jobs, exchanges=ports.exchanges, clock=ports.clock, period=self.pace.survey
            ),
            mints=Mints(jobs=jobs, exchanges=ports.exchanges, chance=ports.chance),
            directory=self.directory,
            installation=self.installation,
        )
