"""The composition root: the one place that builds adapters and starts things."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from garrison.adapters.akash.exchanges import AkashExchanges
from garrison.adapters.credentials.issuer import KubeIssuer
from garrison.adapters.credentials.vault import Vault
from garrison.adapters.credentials.webhook import Allowed, Webhook
from garrison.adapters.kube.client import KubeClient, connect
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.openai.prober import HttpProber
from garrison.adapters.registry.client import OciRegistry
from garrison.adapters.registry.kept_logins import KubeKeptLogins
from garrison.adapters.registry.logins import TokenLogins
from garrison.adapters.registry.pull_secrets import KubePullSecrets
from garrison.adapters.sentinel.authority import authorities
from garrison.adapters.sentinel.bootstrap import KubeBootstraps
from garrison.adapters.sentinel.bundle import bundle
from garrison.adapters.sentinel.client import SentinelClient
from garrison.adapters.sentinel.identities import CertificateIdentities
from garrison.adapters.system import SystemChance, SystemClock
from garrison.api.meta import OWN_KINDS, Kind
from garrison.controllers.assembly import Ports, assemble
from garrison.controllers.scrapes import Board
from garrison.core.marker import installation_id
from garrison.core.mining import NO_POOLS, Pools, parse_pools
from garrison.errors import GarrisonError, InvalidSpecError, NotFoundError
from garrison.handlers.watch import Login, watch
from garrison.ports.identity import trust_domain
from garrison.runtime.engine import GRACE_SECONDS, Engine
from garrison.settings import Settings
from garrison.telemetry.endpoint import Endpoint, serve
from garrison.telemetry.metrics import EngineMeter, StateCollector
from garrison.telemetry.relayed import RelayedCollector
from garrison.telemetry.replicas import ReplicaCollector
from garrison.telemetry.trust import TrustCollector

log = logging.getLogger("garrison")

NAMESPACE = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)
_INSTALLATION = re.compile(r"[0-9a-f]{8}")
WATCH_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An operator at work. ``url`` is where health and metrics are served."""

    engine: Engine
    kube: KubeClient
    url: str


async def run(settings: Settings, *, ready: Callable[[str], None] = log.info) -> None:
    """Run the operator until SIGTERM or SIGINT. Raises GarrisonError when it cannot start.

    ``ready`` is told once everything has been listed and is being watched.
    """
    stop = asyncio.Event()
    _on_signals(stop)
    async with operator(settings) as running:
        working = asyncio.create_task(running.engine.run(), name="engine")
        try:
            await _watched(running, working, stop, ready)
        finally:
            await running.engine.stop(grace=GRACE_SECONDS)
            await working
    log.info("stopped")


def _on_signals(stop: asyncio.Event) -> None:
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)


async def _watched(
    running: Running,
    working: asyncio.Task[None],
    stop: asyncio.Event,
    ready: Callable[[str], None],
) -> None:
    """Watch once everything is listed; end with the stop, or with what broke the watch."""
    if not await _synced(running.engine, working, stop):
        return
    ended, begun = asyncio.Event(), asyncio.Event()
    watching = asyncio.create_task(
        watch(OWN_KINDS, running.engine.on_event, _login(running.kube), ended, begun), name="watch"
    )
    beginning = asyncio.create_task(begun.wait(), name="watch begins")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait((watching, beginning), return_when=asyncio.FIRST_COMPLETED)
    _on_signals(stop)
    ready(f"watching; health and metrics at {running.url}")
    try:
        await asyncio.wait((watching, stopping, working), return_when=asyncio.FIRST_COMPLETED)
        if watching.done() and not stop.is_set():
            watching.result()
    finally:
        stopping.cancel()
        beginning.cancel()
        ended.set()
        await running.engine.stop(grace=GRACE_SECONDS / 2)
        await _ended(watching)


async def _ended(watching: asyncio.Task[None]) -> None:
    _, late = await asyncio.wait((watching,), timeout=WATCH_SECONDS)
    for task in late:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _synced(engine: Engine, working: asyncio.Task[None], stop: asyncio.Event) -> bool:
    while not engine.synced:
        if stop.is_set():
            return False
        if working.done():
            working.result()
        await asyncio.sleep(0.05)
    return True


def _login(kube: KubeClient) -> Callable[[], Awaitable[Login]]:
    async def login() -> Login:
        found = await kube.credentials()
        return Login(
            server=found.server,
            authority=found.pem.authority,
            token=found.token,
            certificate=found.pem.certificate,
            key=found.pem.key,
            insecure=found.insecure,
        )

    return login


@asynccontextmanager
async def operator(settings: Settings) -> AsyncIterator[Running]:
    """Build the adapters and the engine; close the adapters at the end."""
    pools = await asyncio.to_thread(_pools, settings.mining_pools)
    kube = await connect(settings.kubeconfig, settings.context)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(kube.close)
        installation = await _installation(kube, settings)
        log.info("installation %s, Secrets in namespace %s", installation, settings.namespace)
        registry, board = CollectorRegistry(), Board()
        engine = assemble(
            _ports(kube, settings, installation, stack),
            installation=installation,
            pace=settings.pace,
            meter=EngineMeter(registry),
            board=board,
            pools=pools,
        )
        _collect(registry, engine, board)
        endpoint = Endpoint(
            registry=registry, healthy=lambda: healthy(engine), ready=lambda: unready(engine)
        )
        port = await stack.enter_async_context(serve(endpoint, settings.host, settings.port))
        yield Running(engine=engine, kube=kube, url=f"http://{settings.host}:{port}")


def _pools(path: Path | None) -> Pools:
    """Return the administrator's list. Raises InvalidSpecError."""
    if path is None:
        return NO_POOLS
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSpecError(f"--mining-pools {path} cannot be read: {error}") from error
    return parse_pools(text, str(path))


def _ports(
    kube: KubeClient, settings: Settings, installation: str, stack: contextlib.AsyncExitStack
) -> Ports:
    """Build the adapters; those with connections are closed by the stack."""
    clock, screen = SystemClock(), NetScreen()
    exchanges = AkashExchanges(kube=kube, namespace=settings.namespace, screen=screen, clock=clock)
    stack.push_async_callback(exchanges.close)
    trust = _trust(kube, settings.namespace, clock, installation)
    stack.push_async_callback(trust.sentinel.close)
    return Ports(
        kube=kube,
        clock=clock,
        chance=SystemChance(),
        exchanges=exchanges,
        registry=OciRegistry(screen=screen, insecure_hosts=settings.insecure_registries),
        pull_secrets=KubePullSecrets(kube),
        logins=TokenLogins(clock=clock, screen=screen, hosts=settings.pull_token_hosts),
        kept_logins=KubeKeptLogins(kube=kube, namespace=settings.namespace),
        screen=screen,
        prober=HttpProber(trust.identities),
        sentinel=trust.sentinel,
        bootstraps=trust.bootstraps,
        identities=trust.identities,
        issuer=_issuer(kube, settings, screen),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What speaks to sentinels and their clients, by two certificate authorities."""

    sentinel: SentinelClient
    bootstraps: KubeBootstraps
    identities: CertificateIdentities


def _trust(kube: KubeClient, namespace: str, clock: SystemClock, installation: str) -> Trust:
    domain = trust_domain(installation)
    operator_ca, lease_ca = authorities(kube, clock, namespace, domain)
    identities = CertificateIdentities(
        operator=operator_ca, leases=lease_ca, clock=clock, domain=domain
    )
    bootstraps = KubeBootstraps(
        kube=kube,
        clock=clock,
        namespace=namespace,
        domain=domain,
        operator=operator_ca,
        bundle=bundle,
    )
    return Trust(
        identities=identities,
        bootstraps=bootstraps,
        sentinel=SentinelClient(
            pins=bootstraps.pins,
            operator=operator_ca,
            leases=lease_ca,
            clock=clock,
            domain=domain,
        ),
    )


def _issuer(kube: KubeClient, settings: Settings, screen: NetScreen) -> KubeIssuer:
    allowed = Allowed(
        hosts=frozenset(settings.webhook_hosts), private=settings.webhook_private_addresses
    )
    return KubeIssuer(
        kube=kube,
        vault=Vault(kube=kube, namespace=settings.namespace),
        webhook=Webhook(kube=kube, namespace=settings.namespace, screen=screen, allowed=allowed),
    )


def _collect(registry: CollectorRegistry, engine: Engine, board: Board) -> None:
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(
        StateCollector(engine.cache.list, lambda: (len(engine.queue), engine.queue.ready()))
    )
    registry.register(TrustCollector(engine.cache.list))
    registry.register(ReplicaCollector(board.pages))
    registry.register(RelayedCollector(board.pages))


def healthy(engine: Engine) -> str:
    """Return why the process should be restarted, "" when it should not."""
    if engine.synced and not engine.alive:
        return "the engine's workers have ended"
    late = engine.canary.overdue()
    if late:
        return "; ".join(f"the watch of {kind} is {age:.0f} s late" for kind, age in late.items())
    return ""


def unready(engine: Engine) -> str:
    """Return why the operator does not act yet, "" when it does."""
    return "" if engine.synced and engine.alive else "the objects have not been listed yet"


async def _installation(kube: KubeClient, settings: Settings) -> str:
    if settings.installation:
        if _INSTALLATION.fullmatch(settings.installation) is None:
            raise InvalidSpecError(
                f"--installation {settings.installation!r} is not 8 hexadecimal digits, such as 0a1b2c3d"
            )
        return settings.installation
    found = await kube.get(NAMESPACE, "", settings.namespace)
    if found is None:
        raise NotFoundError(
            f"namespace {settings.namespace} does not exist; create it, or name another with --namespace"
        )
    return installation_id(found["metadata"]["uid"])


def explain(error: GarrisonError) -> str:
    """Return one line for the command line."""
    return f"{error.reason}: {error}"
