"""Sentinels in memory: sealed until enrolled, guarded, and told to start; hostile on request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import TypeVar

from garrison.adapters.memory.bootstraps import BOOTSTRAP, DIGEST
from garrison.adapters.memory.faults import Call
from garrison.adapters.memory.gateway import MemoryGateway
from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.memory.records import LeaseRecord
from garrison.adapters.memory.registry import INTERPRETER, LIBRARY, PROGRAM, files_of
from garrison.api.egress import DENY_ALL, EgressPolicySpec, Level
from garrison.api.glob import matcher
from garrison.errors import AuthError, ConflictError, RejectedError, UnavailableError
from garrison.ports.identity import Peer
from garrison.ports.samples import Sample, Samples
from garrison.ports.sentinel import (
    Delivery,
    Denied,
    Door,
    EgressView,
    Enrolment,
    Evidence,
    Launch,
    ProcessEvidence,
    ProcessView,
    SentinelState,
    View,
)

T = TypeVar("T")

LIFE = timedelta(hours=12)
ALTERED = hashlib.sha256(b"another sentinel").hexdigest()
MINED_CORES = 64.0
INTRUDER = "/tmp/miner"  # noqa: S108 - a path in a container that does not exist


@dataclass(slots=True, kw_only=True)
class Instance:
    """One start of one container."""

    lease: str
    instance: str
    state: SentinelState = SentinelState.SEALED
    key: str | None = None
    until: datetime | None = None
    version: int = 0
    policy: EgressPolicySpec = DENY_ALL
    secrets: dict[str, int] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    """the credentials' keys by the secrets' names"""
    sealed_because: str = ""
    metrics_path: str | None = None


class MemorySentinel:
    """Implements ``Sentinel`` for every container that a bootstrap was injected into.

    ``weak`` are providers whose machine enforces nothing, ``cloning`` those that run a copy beside
    the original, ``foreign`` those where something else answers, ``altered`` those that run another agent, ``stale`` those that repeat an old
    answer about what is inside, ``mining`` those where the CPUs are busy whatever is asked. ``swapped`` are deployments whose program was overwritten, ``invaded``
    those with a process that nobody started; a restart clears them. ``sought`` is by provider what the
    workload there asks for in vain (in Audit: would), ``entered`` what was started from outside, ``clinging``
    addresses and ports of connections that no change of policy closes. ``started`` are all instances
    that were ever told to start: the truth, for checks.
    """

    def __init__(self, *, market: MemoryMarket, gateway: MemoryGateway) -> None:
        self._market = market
        self._gateway = gateway
        self._instances: dict[str, Instance] = {}
        self._restarts: dict[str, int] = {}
        self._modes: dict[str, EgressPolicySpec] = {}
        self.weak: set[str] = set()
        self.cloning: set[str] = set()
        self.foreign: set[str] = set()
        self.altered: set[str] = set()
        self.stale: set[str] = set()
        self.swapped: set[str] = set()
        self.invaded: set[str] = set()
        self.started: set[str] = set()
        self.mining: set[str] = set()
        self.sought: dict[str, tuple[Denied, ...]] = {}
        self.entered: dict[str, tuple[str, ...]] = {}
        self.clinging: dict[str, tuple[tuple[str, int], ...]] = {}
        self.limits: tuple[str, ...] = ()
        self.resolvers: tuple[str, ...] = ("10.96.0.10",)

    def restart(self, deployment: str) -> None:
        """Restart a container: it comes back sealed, as another instance."""
        self._restarts[deployment] = self._restarts.get(deployment, 0) + 1
        ended = self._instances.pop(deployment, None)
        if ended is not None:
            self._modes.pop(ended.lease, None)
        self.swapped.discard(deployment)
        self.invaded.discard(deployment)

    def serves(self, deployment: str, lease: LeaseRecord, moment: datetime) -> bool:
        """Return whether the workload's own process runs in a container that has a sentinel."""
        known = self._instances.get(deployment)
        running = known is not None and known.state is SentinelState.RUNNING
        return running and self._gateway.runs(lease, moment)

    def is_guarded(self, lease: LeaseRecord) -> bool:
        """Return whether a container was started with a sentinel."""
        return lease.manifest is not None and _bootstrap(lease) is not None

    def accepts(self, deployment: str, peer: Peer | None) -> bool:
        """Return whether a client that expects ``peer`` gets through to the workload."""
        known = self._instances.get(deployment)
        return known is not None and peer is not None and known.key == peer.key

    async def look(self, door: Door) -> tuple[View, ...]:
        """Return the instance that answers, and its copy where the provider runs one."""

        def answer(moment: datetime) -> tuple[View, ...]:
            found, lease = self._at(door, moment)
            view = self._view(found, lease)
            if lease.provider not in self.cloning or found.key is None:
                return (view,)
            copy = View(instance=_named("copy", door), state=SentinelState.SEALED, digest=DIGEST)
            return (copy, view)

        return await self._market.faults.read(self._call("look", door, write=False), answer)

    async def enrol(self, door: Door) -> Enrolment:
        """Give the instance a key and a certificate, or renew it."""

        def effect(now: datetime) -> Enrolment:
            found, _ = self._at(door, now)
            if found.sealed_because:
                raise ConflictError(f"sealed: {found.sealed_because}")
            found.key = found.key or hashlib.sha256(found.instance.encode()).hexdigest()
            found.until = now + LIFE
            if found.state is SentinelState.SEALED:
                found.state = SentinelState.ENROLLED
            return Enrolment(instance=found.instance, key=found.key, certificate_until=found.until)

        return await self._written("enrol", door, effect)

    async def set_egress(self, door: Door, version: int, policy: EgressPolicySpec) -> EgressView:
        """Put a version in force; an older one is refused."""

        def effect(now: datetime) -> EgressView:
            found, lease = self._enrolled(door, now)
            deployment = self._deployment_at(door)
            if version < found.version:
                raise RejectedError("an older version of the policy", reason="StaleVersion")
            if policy.mode != found.policy.mode:
                self.restart(deployment)
                if found.instance not in self.started:  # else the container begins anew
                    self._modes[door.lease.uid] = policy
                raise RejectedError("the mode is chosen at start", reason="RestartNeeded")
            found.version, found.policy = version, policy
            return replace(self._guard(found, lease), denied_total=0, denied=())

        return await self._written("set_egress", door, effect)

    async def deliver(self, door: Door, delivery: Delivery) -> None:
        """Take a version of a secret; ``held`` remembers its value."""

        def effect(now: datetime) -> None:
            found, _ = self._enrolled(door, now)
            if delivery.version < found.secrets.get(delivery.name, 0):
                raise RejectedError("an older version of the secret", reason="StaleVersion")
            found.secrets[delivery.name] = delivery.version
            found.held[delivery.name] = delivery.value.decode()

        await self._written("deliver", door, effect)

    async def attest(self, door: Door, paths: Sequence[str], nonce: str | None = None) -> Evidence:
        """Return the files of the image, and what became of them since."""
        del nonce
        is_named = matcher(paths)

        def answer(moment: datetime) -> Evidence:
            found, lease = self._enrolled(door, moment)
            if lease.provider in self.stale:
                raise AuthError("it is under another nonce than ours", reason="EvidenceRefused")
            return self._evidence(found, lease, door, is_named)

        return await self._market.faults.read(self._call("attest", door, write=False), answer)

    def _evidence(
        self, found: Instance, lease: LeaseRecord, door: Door, is_named: Callable[[str], bool]
    ) -> Evidence:
        assert lease.manifest is not None  # noqa: S101 - a container that answers has one
        files = dict(files_of(lease.manifest[1].image))
        deployment = self._deployment(door)
        if deployment in self.swapped:
            files[PROGRAM] = hashlib.sha256(b"another program").hexdigest()
        running = [INTERPRETER]
        if found.state is SentinelState.RUNNING:
            running.append(PROGRAM)
        if deployment in self.invaded:
            running.append(INTRUDER)
            files[INTRUDER] = hashlib.sha256(b"intruder").hexdigest()
        return Evidence(
            instance=found.instance,
            sentinel=DIGEST,
            files={path: each for path, each in files.items() if is_named(path)},
            executables={path: files[path] for path in running},
            libraries={LIBRARY: files[LIBRARY]},
            processes=tuple(
                ProcessEvidence(pid=pid, parent=pid - 1, uid=0, executable=path)
                for pid, path in enumerate(running, start=1)
            ),
        )

    def _deployment(self, door: Door) -> str:
        found = self._gateway.behind(door.destination.host, door.destination.port)
        return found[0].id if found is not None else ""

    def holds(self) -> list[tuple[str, str]]:
        """Return (lease uid, credential key) of every secret in a container that runs now."""
        now = self._market.now()
        return [
            (found.lease, key)
            for deployment, found in self._instances.items()
            if (record := self._market.deployments[deployment]).lease is not None
            and found.state is SentinelState.RUNNING
            and self._gateway.is_up(record.lease, now)
            for key in found.held.values()
        ]

    async def start(self, door: Door, launch: Launch) -> None:
        """Start the workload."""

        def effect(now: datetime) -> None:
            found, lease = self._enrolled(door, now)
            needs = found.policy.require_enforced and found.policy.mode == "Enforce"
            if needs and lease.provider in self.weak:
                raise RejectedError("the guard is not enforced", reason="EgressNotEnforced")
            found.state, found.metrics_path = SentinelState.RUNNING, launch.metrics_path
            self.started.add(found.instance)

        await self._written("start", door, effect)

    async def metrics(self, door: Door) -> Samples:
        """Return the CPU time since the epoch of this world: all of it where somebody mines."""

        def answer(moment: datetime) -> Samples:
            _, lease = self._enrolled(door, moment)
            cores = MINED_CORES if lease.provider in self.mining else 0.0
            values = {
                "workload_cpu_seconds_total": cores * moment.timestamp(),
                "relay_requests_total": 0.0,
                "relay_requests_in_flight": 0.0,
            }
            return Samples(
                samples=tuple(
                    Sample(family=name, name=name, value=value) for name, value in values.items()
                )
            )

        return await self._market.faults.read(self._call("metrics", door, write=False), answer)

    async def workload_metrics(self, door: Door) -> Samples:
        """Return one figure, and the path at which it was asked for."""

        def answer(moment: datetime) -> Samples:
            found, _ = self._enrolled(door, moment)
            if found.state is not SentinelState.RUNNING:
                raise ConflictError("the workload does not run")
            if found.metrics_path is None:
                raise RejectedError("the workload has no metricsPath", reason="NoMetricsPath")
            labels = (("path", found.metrics_path),)
            sample = Sample(family="requests_total", name="requests_total", labels=labels, value=1)
            return Samples(samples=(sample,))

        call = self._call("workload_metrics", door, write=False)
        return await self._market.faults.read(call, answer)

    async def seal(self, door: Door, reason: str) -> None:
        """Stop the workload for good."""

        def effect(now: datetime) -> None:
            found, _ = self._at(door, now)
            found.state, found.key, found.sealed_because = SentinelState.SEALED, None, reason

        await self._written("seal", door, effect)

    async def _written(self, name: str, door: Door, effect: Callable[[datetime], T]) -> T:
        call = self._call(name, door, write=True)
        return await self._market.faults.write(call, effect, UnavailableError)

    def _call(self, name: str, door: Door, *, write: bool) -> Call:
        return Call(port="sentinel", operation=name, write=write, subject=door.lease.uid)

    def _at(self, door: Door, moment: datetime) -> tuple[Instance, LeaseRecord]:
        where = f"{door.destination.host}:{door.destination.port}"
        found = self._gateway.behind(door.destination.host, door.destination.port)
        if found is None or not self._gateway.is_up(found[1], moment):
            raise UnavailableError(f"{where}: connection refused")
        record, lease = found
        if lease.provider in self.foreign or _bootstrap(lease) != door.lease.uid:
            raise AuthError(f"{where}: another certificate", reason="IdentityRefused")
        known = self._instances.get(record.id)
        if known is None:
            count = self._restarts.get(record.id, 0)
            known = Instance(lease=door.lease.uid, instance=_named(f"{record.id}/{count}", door))
            known.policy = self._modes.get(door.lease.uid, DENY_ALL)
            self._instances[record.id] = known
        return known, lease

    def _deployment_at(self, door: Door) -> str:
        found = self._gateway.behind(door.destination.host, door.destination.port)
        return found[0].id if found is not None else ""

    def _enrolled(self, door: Door, now: datetime) -> tuple[Instance, LeaseRecord]:
        found, lease = self._at(door, now)
        if found.key is None or found.key != door.key:
            raise ConflictError("another instance answers now")
        return found, lease

    def _view(self, found: Instance, lease: LeaseRecord) -> View:
        running = found.state is SentinelState.RUNNING
        return View(
            instance=found.instance,
            state=found.state,
            digest=ALTERED if lease.provider in self.altered else DIGEST,
            key=found.key,
            certificate_until=found.until,
            egress=self._guard(found, lease),
            secrets=dict(found.secrets),
            process=ProcessView(running=True) if running else None,
            sealed_because=found.sealed_because,
            entered=self.entered.get(lease.provider, ()),
            resolvers=self.resolvers,
        )

    def _guard(self, found: Instance, lease: LeaseRecord) -> EgressView:
        weak = lease.provider in self.weak
        audit = found.policy.mode == "Audit"
        running = found.state is SentinelState.RUNNING
        sought = self.sought.get(lease.provider, ()) if running else ()
        clinging = self.clinging.get(lease.provider, ()) if running and not audit else ()
        remaining = tuple(f"{to}:{at}" for to, at in clinging if not _allows(found.policy, to, at))
        full: Level = "BestEffort" if remaining else "Enforced"
        return EgressView(
            version=found.version,
            level="DeclaredOnly" if audit else "Refused" if weak else full,
            rung="none" if weak else "memory",
            mode=found.policy.mode,
            limits=self.limits,
            remaining=remaining,
            denied_total=sum(each.count for each in sought),
            denied=sought,
        )


def _allows(policy: EgressPolicySpec, address: str, port: int) -> bool:
    networks = (each.cidr for each in policy.allow if each.cidr is not None and port in each.ports)
    return any(ip_address(address) in ip_network(each) for each in networks)


def _named(text: str, door: Door) -> str:
    return hashlib.sha256(f"{door.lease.uid}/{text}".encode()).hexdigest()[:32]


def _bootstrap(lease: LeaseRecord) -> str | None:
    return dict(lease.manifest[1].env).get(BOOTSTRAP) if lease.manifest is not None else None
