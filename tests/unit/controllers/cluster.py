"""An operator on ports in memory: apply objects, let time pass, look at what it did."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

from garrison.adapters.memory.bootstraps import MemoryBootstraps
from garrison.adapters.memory.clock import LoopClock, SeededChance
from garrison.adapters.memory.exchanges import MemoryExchanges
from garrison.adapters.memory.faults import Call, Fail, Fault, Hang, Lose, Pass
from garrison.adapters.memory.gateway import MemoryGateway
from garrison.adapters.memory.identities import MemoryIdentities
from garrison.adapters.memory.issuer import MemoryIssuer
from garrison.adapters.memory.kube import MemoryKube, register
from garrison.adapters.memory.logins import MemoryLogins
from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.memory.probe import MemoryProber, MemoryScreen
from garrison.adapters.memory.provider import MemoryProvider
from garrison.adapters.memory.registry import MemoryRegistry
from garrison.adapters.memory.sentinel import MemorySentinel
from garrison.api.meta import (
    ACCOUNT,
    API_VERSION,
    EGRESS,
    EVENT,
    LEASE,
    OWN_KINDS,
    POLICY,
    PROVIDER,
    REVISION,
    ROTATING,
    SECRET,
    SERVICE,
    SLICE,
    WORKLOAD,
    Kind,
)
from garrison.api.money import MicroUSD
from garrison.controllers.assembly import Pace, Ports, assemble
from garrison.core.mining import NO_POOLS
from garrison.errors import GarrisonError
from garrison.ports.kube import Object
from garrison.ports.market import ProviderGpu
from garrison.runtime.engine import Engine
from kube_light.history import Change
from kube_light.resource import NAMESPACE as NAMESPACES
from kube_light.store import Store
from tests.builders import IMAGE, INSTALLATION

NAMESPACE = "prod"
H100 = ProviderGpu(vendor="nvidia", model="h100")
PATIENCE = 3600.0
SECOND = timedelta(seconds=1)


def provider(name: str, price: int = 1_000_000, *gpus: ProviderGpu) -> MemoryProvider:
    """A provider that bids, leases and starts within a second each."""
    return MemoryProvider(
        id=name,
        host=f"{name}.example",
        region="eu-west",
        price_per_hour=MicroUSD(price),
        gpus=gpus or (H100,),
        bid_delay=SECOND,
        lease_delay=SECOND,
        start_delay=SECOND,
    )


def workload(name: str = "chat", **spec: Any) -> Object:
    """A workload of one GPU, without a benchmark."""
    base = {
        "image": IMAGE,
        "port": 8000,
        "resources": {"cpu": "1", "memory": "1Gi", "gpu": {"models": [{"model": "h100"}]}},
        "replicas": 1,
        "traffic": {"drainSeconds": 0},
    }
    return _object(WORKLOAD, name, {**base, **spec}, NAMESPACE)


def account(name: str = "treasury", **spec: Any) -> Object:
    """The account that pays."""
    base = {
        "default": True,
        "adoption": "Allow",
        "backend": {"type": "Console", "console": {"apiKeySecretRef": {"name": "key"}}},
        "limits": {"maxPricePerHour": "20", "maxLeases": 5, "maxNewLeasesPer10Minutes": 50},
    }
    return _object(ACCOUNT, name, {**base, **spec})


def policy(name: str = "eu", **spec: Any) -> Object:
    """A policy beside the workloads."""
    return _object(POLICY, name, spec, NAMESPACE)


def egress(name: str = "hub", **spec: Any) -> Object:
    """What may be reached, beside the workloads."""
    return _object(EGRESS, name, spec, NAMESPACE)


def rotating(name: str = "token", **spec: Any) -> Object:
    """A credential beside the workloads that rotates every hour, without a grace."""
    rotation = {"everySeconds": 3600, "graceSeconds": 0, "jitterPercent": 0}
    return _object(ROTATING, name, {"rotation": rotation, **spec}, NAMESPACE)


def _object(kind: Kind, name: str, spec: Object, namespace: str = "") -> Object:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API_VERSION, "kind": kind.kind, "metadata": meta, "spec": spec}


class Cluster:
    """``broken`` maps ``port.operation`` to the error that it raises, ``lost`` lose one answer.

    ``slow`` maps the beginning of a subject to the seconds that its writes take.
    """

    def __init__(self, *, chooses_id: bool = False, keeps_ids: bool = True) -> None:
        numbers = count(1)
        self.broken: dict[str, GarrisonError | None] = {}
        self.lost: set[str] = set()
        self.slow: dict[str, float] = {}
        self.pools = NO_POOLS
        self.calls: list[str] = []
        self.clock = LoopClock()
        self.store = Store(now=self.clock.now, uid=lambda: str(uuid.UUID(int=next(numbers))))
        register(self.store, [*OWN_KINDS, EVENT, REVISION, SECRET, SERVICE, SLICE])
        self.market = MemoryMarket(
            clock=self.clock,
            providers=[provider(f"p{n}", 1_000_000 + 100_000 * n) for n in range(3)],
            hook=self._hook,
            chooses_id=chooses_id,
            keeps_ids=keeps_ids,
        )
        self.gateway = MemoryGateway(clock=self.clock, market=self.market)
        self.sentinel = MemorySentinel(market=self.market, gateway=self.gateway)
        self.bootstraps = MemoryBootstraps(self.market)
        self.prober = MemoryProber(market=self.market, gateway=self.gateway, sentinel=self.sentinel)
        self.registry = MemoryRegistry(self.market.faults)
        self.logins = MemoryLogins(self.market)
        self.exchanges = MemoryExchanges(self.market, self.gateway)
        self.issuer = MemoryIssuer(self.market)
        self.kube = MemoryKube(self.store)
        self.engine: Engine | None = None
        self._calls_left: int | None = None
        self._died = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self.store.listen(self._changed)

    async def _hook(self, call: Call) -> Fault:
        name = f"{call.port}.{call.operation}"
        if self._calls_left is not None:
            self._calls_left -= 1
            if self._calls_left <= 0:
                self._died.set()
                return Hang()
        if call.stage.value == "before":
            pauses = (each for start, each in self.slow.items() if call.subject.startswith(start))
            await asyncio.sleep(sum(pauses) if call.write else 0)
            self.calls.append(name)
            if name in self.broken:
                return Fail(self.broken[name])
        elif name in self.lost:
            self.lost.remove(name)
            return Lose()
        return Pass()

    def _changed(self, change: Change) -> None:
        if self.engine is not None and change.object["kind"] in {each.kind for each in OWN_KINDS}:
            self.engine.on_event(change.type, change.object)

    async def open(self) -> None:
        """Create a namespace and an account, and start an operator."""
        self.store.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        await self.create(account())
        await self.start()

    async def start(self) -> None:
        """Start an operator with nothing in its memory."""
        self.engine = assemble(
            Ports(
                kube=MemoryKube(self.store, self.market.faults),
                clock=self.clock,
                chance=SeededChance(1),
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
            ),
            installation=INSTALLATION,
            pace=Pace(workers=2),
            pools=self.pools,
        )
        self._running = asyncio.create_task(self.engine.run())

    async def stop(self) -> None:
        """End the operator; the API server and the market stay."""
        if self.engine is not None and self._running is not None:
            await self.engine.stop(grace=1.0)
            await self._running
            self.engine = None

    async def dies_at_call(self, number: int) -> None:
        """Let the operator die in its ``number``-th call from now, before or after the effect."""
        self._died.clear()
        self._calls_left = number
        await self._died.wait()
        assert self.engine is not None
        assert self._running is not None
        await self.engine.stop(grace=0.0)
        self._running.cancel()
        await asyncio.wait({self._running})
        self.engine, self._calls_left = None, None

    async def create(self, body: Object) -> Object:
        """Create an object."""
        kind = next(each for each in OWN_KINDS if each.kind == body["kind"])
        return await self.kube.create(kind, body)

    async def edit(self, kind: Kind, name: str, **spec: Any) -> None:
        """Change fields of an object's spec."""
        namespace = NAMESPACE if kind.namespaced else ""
        self.store.merge(self.kube._resource(kind), {"spec": spec}, namespace, name)

    async def delete(self, kind: Kind, name: str) -> None:
        """Ask for an object's deletion."""
        await self.kube.delete(kind, NAMESPACE if kind.namespaced else "", name)

    async def get(self, kind: Kind, name: str) -> Object:
        """Return an object that exists."""
        found = await self.kube.get(kind, NAMESPACE if kind.namespaced else "", name)
        assert found is not None, f"{kind.kind} {name} does not exist"
        return found

    async def condition(self, kind: Kind, name: str, type_: str) -> tuple[str, str, str]:
        """Return (status, reason, message) of a condition, empty when it is not there."""
        body = await self.get(kind, name)
        for each in (body.get("status") or {}).get("conditions") or ():
            if each["type"] == type_:
                return each["status"], each["reason"], each["message"]
        return "", "", ""

    async def leases(self) -> list[Object]:
        """Return the AkashLeases."""
        return list(await self.kube.list(LEASE))

    async def events(self, name: str) -> list[Object]:
        """Return the Events about the objects of a name."""
        found = await self.kube.list(EVENT)
        return [each for each in found if each["regarding"]["name"] == name]

    async def providers(self) -> list[str]:
        """Return the names of the AkashProviders."""
        return [each["metadata"]["name"] for each in await self.kube.list(PROVIDER)]

    async def until(self, is_so: Callable[[], Any], what: str) -> None:
        """Let virtual time pass until ``is_so`` (awaited) holds; AssertionError after an hour."""
        for _ in range(int(PATIENCE)):
            if await is_so():
                return
            await asyncio.sleep(1.0)
        raise AssertionError(f"never {what}")

    async def serves(self, name: str = "chat") -> None:
        """Wait until a workload is Ready."""

        async def is_ready() -> bool:
            body = await self.get(WORKLOAD, name)
            found = await self.condition(WORKLOAD, name, "Ready")
            return found[0] == "True" and (
                body["status"]["observedGeneration"] == body["metadata"]["generation"]
            )

        await self.until(is_ready, f"{name} Ready")

    async def says(self, kind: Kind, name: str, type_: str, reason: str) -> str:
        """Wait until a condition shows a reason, and return its message."""

        async def is_told() -> bool:
            return (await self.condition(kind, name, type_))[1] == reason

        await self.until(is_told, f"{type_} of {kind.kind} {name} is {reason}")
        return (await self.condition(kind, name, type_))[2]
