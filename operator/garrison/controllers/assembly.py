"""The controllers on one engine, given their ports."""

from __future__ import annotations

from dataclasses import dataclass, field

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
from garrison.ports.clock import Chance, Clock
from garrison.ports.credentials import Issuer
from garrison.ports.identity import Identities
from garrison.ports.kube import Kube
from garrison.ports.market import Exchanges
from garrison.ports.probe import Prober, Screen
from garrison.ports.registry import Registry
from garrison.ports.sentinel import Bootstraps, Sentinel
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
    catalog = Catalog(engine.cache, ports.kube)
    directory = Directory()
    references = References(
        jobs=engine.jobs, registry=ports.registry, secrets=ports.pull_secrets, clock=ports.clock
    )
    engine.register(
        (
            _workloads(ports, engine, catalog, references),
            _leases(
                ports,
                engine,
                catalog,
                references,
                board or Board(),
                installation=installation,
                pace=pace,
            ),
            _accounts(ports, engine, catalog, directory, installation=installation, pace=pace),
            ProviderController(catalog=catalog, directory=directory, clock=ports.clock),
            PolicyController(cache=engine.cache, catalog=catalog, clock=ports.clock),
            SecretController(
                cache=engine.cache,
                catalog=catalog,
                kube=ports.kube,
                clock=ports.clock,
                issuer=ports.issuer,
            ),
            EgressController(cache=engine.cache, catalog=catalog, clock=ports.clock),
        )
    )
    engine.after_resync(Leftovers(bootstraps=ports.bootstraps, kube=ports.kube).sweep)
    return engine


def _workloads(
    ports: Ports, engine: Engine, catalog: Catalog, references: References
) -> WorkloadController:
    images = Images(
        jobs=engine.jobs,
        registry=ports.registry,
        secrets=ports.pull_secrets,
        references=references,
        clock=ports.clock,
    )
    return WorkloadController(
        cache=engine.cache,
        catalog=catalog,
        kube=ports.kube,
        clock=ports.clock,
        images=images,
        router=Router(kube=ports.kube, screen=ports.screen, clock=ports.clock),
        dependents=Dependents(
            cache=engine.cache,
            catalog=catalog,
            kube=ports.kube,
            images=images,
            bootstraps=ports.bootstraps,
        ),
        clients=Clients(kube=ports.kube, identities=ports.identities),
    )


def _sentinels(ports: Ports, engine: Engine) -> Sentinels:
    return Sentinels(
        jobs=engine.jobs,
        screen=ports.screen,
        sentinel=ports.sentinel,
        bootstraps=ports.bootstraps,
        clock=ports.clock,
    )


def _leases(
    ports: Ports,
    engine: Engine,
    catalog: Catalog,
    references: References,
    board: Board,
    *,
    installation: str,
    pace: Pace,
) -> LeaseController:
    sentinels = _sentinels(ports, engine)
    deliveries = Deliveries(catalog=catalog, kube=ports.kube, issuer=ports.issuer)
    contexts = Contexts(
        catalog=catalog,
        kube=ports.kube,
        clock=ports.clock,
        chance=ports.chance,
        sentinels=sentinels,
        deliveries=deliveries,
        installation=installation,
        timing=pace.timing,
    )
    return LeaseController(
        cache=engine.cache,
        catalog=catalog,
        kube=ports.kube,
        contexts=contexts,
        exchanges=ports.exchanges,
        measurements=Measurements(
            jobs=engine.jobs, screen=ports.screen, prober=ports.prober, clock=ports.clock
        ),
        sentinels=sentinels,
        scrapes=Scrapes(
            jobs=engine.jobs,
            samples=sentinels.samples,
            relayed=sentinels.relayed,
            board=board,
            clock=ports.clock,
        ),
        attestations=Attestations(
            jobs=engine.jobs, references=references, sentinels=sentinels, clock=ports.clock
        ),
        pulls=Pulls(ports.pull_secrets),
        deliveries=deliveries,
        timing=pace.timing,
    )


def _accounts(
    ports: Ports,
    engine: Engine,
    catalog: Catalog,
    directory: Directory,
    *,
    installation: str,
    pace: Pace,
) -> AccountController:
    return AccountController(
        cache=engine.cache,
        catalog=catalog,
        kube=ports.kube,
        clock=ports.clock,
        exchanges=ports.exchanges,
        surveys=Surveys(
            jobs=engine.jobs,
            exchanges=ports.exchanges,
            clock=ports.clock,
            period=pace.survey,
        ),
        mints=Mints(jobs=engine.jobs, exchanges=ports.exchanges, chance=ports.chance),
        directory=directory,
        installation=installation,
    )
