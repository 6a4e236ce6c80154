"""One seed's world: an API server, a market, operators that come and go, and the checks."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from garrison.adapters.memory.clock import LoopClock
from garrison.adapters.memory.kube import MemoryKube, register
from garrison.api.meta import (
    ACCOUNT,
    EGRESS,
    OWN_KINDS,
    POLICY,
    REVISION,
    ROTATING,
    SECRET,
    SERVICE,
    SLICE,
)
from garrison.ports.kube import Object
from kube_light.history import Change
from kube_light.resource import NAMESPACE as NAMESPACES
from kube_light.store import Store
from tests.simulation.coverage import AGAIN, Reached, fatal
from tests.simulation.faults import Process, Weather
from tests.simulation.invariants import Invariants, is_retired
from tests.simulation.operator import Operator
from tests.simulation.ports import MemoryPorts, is_chain, market_of
from tests.simulation.scenario import (
    NAMESPACE,
    account,
    egress_policy,
    policy,
    rotating_secrets,
)

WATCHED = frozenset(kind.kind for kind in OWN_KINDS)
RESTART = 45.0


class World:
    """Everything outside the operators is the truth; ``broken`` collects what must never be."""

    def __init__(self, seed: int, say: Callable[[str], None], last: str | None) -> None:
        self.chance = random.Random(seed)
        self.chain = is_chain(seed)
        self.clock = LoopClock()
        self.reached = Reached()
        self.broken: list[str] = []
        self._happened = 0
        self._say = say
        self._loop = asyncio.get_running_loop()
        self.weather = Weather(
            self.chance, self.reached, self._crashed, self.check, fatal=fatal(seed), last=last
        )
        self.store = Store(
            now=self.clock.now, uid=lambda: str(uuid.UUID(int=self.chance.getrandbits(128)))
        )
        register(self.store, [*OWN_KINDS, REVISION, SECRET, SERVICE, SLICE])
        market = market_of(self.chance, self.clock, self.weather, seed=seed)
        self.ports = MemoryPorts.of(market, self.clock)
        self.invariants = Invariants(market, self.store, self.ports.minter)
        self.operators: list[Operator] = []
        self.ever_ready: set[str] = set()
        self.orphaned: set[str] = set()
        """uids of workloads that were deleted with deletionPolicy Orphan"""
        self.overwritten: set[str] = set()
        """deployments of which a file was ever overwritten: a first look may have found that one"""
        self.writes: list[tuple[float, str]] = []
        self.user = MemoryKube(self.store)
        self.store.listen(self._changed)

    async def open(self) -> None:
        """Create what every seed has."""
        self.store.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        await self.user.create(ACCOUNT, account(chain=self.chain))
        await self.user.create(POLICY, policy())
        await self.user.create(EGRESS, egress_policy())
        for body in rotating_secrets():
            await self.user.create(ROTATING, body)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later."""
        self._loop.call_later(seconds, act)

    def say(self, text: str) -> None:
        """Tell the story of the seed, when somebody listens."""
        self._say(f"{self._loop.time():8.1f}  {text}")

    def check(self, written: bool) -> None:
        """Note every invariant that does not hold now.

        Those of market and ledger can only break where something was written, or happened by itself.
        """
        happened = self.ports.market.happened + self.store.revision
        if written or happened != self._happened:
            self._happened = happened
            for each in self.invariants.violations(self.clock.now()):
                self._break(each)
        dead = [
            each for each in self.ports.sentinel.holds() if each[1] not in self.ports.issuer.live
        ]
        for each in self.invariants.serving_with_dead_secrets(dead):
            self._break(each)

    def _break(self, what: str) -> None:
        if what not in self.broken:
            self.broken.append(what)
            self.say(f"BROKEN: {what}")

    def new_operator(self) -> Operator:
        """Start one more operator."""
        ports = self.ports.given(self.store, self.chance.getrandbits(64))
        operator = Operator(ports, self.reached)
        self.operators.append(operator)
        operator.start()
        self.say(f"operator started, {len(self.alive())} alive")
        return operator

    def alive(self) -> list[Operator]:
        return [each for each in self.operators if not each.dead]

    def _crashed(self, process: Process) -> None:
        assert isinstance(process, Operator)
        process.crash()
        self.say("operator crashed")
        self._loop.call_later(self.chance.random() * RESTART, self.ensure_operator)

    def ensure_operator(self) -> None:
        """Start an operator when none is alive, as a Deployment does."""
        if not self.alive():
            self.new_operator()

    def _changed(self, change: Change) -> None:
        body = change.object
        kind = body.get("kind", "")
        self._watch_invariants(change, kind, body)
        if kind not in WATCHED:
            return
        for operator in self.alive():
            self._deliver(operator, change.type, body)

    def _deliver(self, operator: Operator, type_: str, body: Object) -> None:
        """Chaos delivers late, twice, out of order, or never."""
        if not self.weather.chaos:
            operator.deliver(type_, body)
            return
        draw = self.chance.random()
        if draw < 0.04:
            return
        for _ in range(2 if draw < 0.08 else 1):
            delay = self.chance.random() * (5.0 if draw < 0.2 else 0.05)
            self._loop.call_later(delay, operator.deliver, type_, body)

    def _watch_invariants(self, change: Change, kind: str, body: Mapping[str, Any]) -> None:
        if kind in {"AkashLease", "InferenceWorkload"}:
            self.writes.append((self._loop.time(), f"{kind}/{body['metadata']['name']}"))
        if kind == "InferenceWorkload" and change.type != "DELETED":
            uid = body["metadata"]["uid"]
            for each in self.invariants.on_ledger(body, change.before):
                self._break(each)
            if (
                body["metadata"].get("deletionTimestamp")
                and body["spec"]["deletionPolicy"] == "Orphan"
            ):
                self.orphaned.add(uid)
        if kind == "AkashLease":
            for each in self.invariants.on_recorded(body):
                self._break(each)
            self._watch_lease(change, body)
        if kind == "AkashAccount":
            self._watch_mint(change, body)
        if kind == "RotatingSecret":
            for each in self.invariants.on_credentials(change.before, body, self.ports.issuer.live):
                self._break(each)
        if kind == "EndpointSlice" and change.type != "DELETED":
            for each in self.invariants.on_slice(body, self.ever_ready):
                self._break(each)

    def _watch_mint(self, change: Change, body: Mapping[str, Any]) -> None:
        """Note what becomes of mints."""
        mint = (body.get("status") or {}).get("mint")
        before = ((change.before or {}).get("status") or {}).get("mint")
        if mint is None or mint == before:
            return
        self.say(f"mint of {mint['amount']}: {mint['outcome']}")
        self.reached.mints.add(mint["outcome"])
        if (
            before is not None
            and before["outcome"] == "Refused"
            and mint["token"] != before["token"]
        ):
            self.reached.mints.add(AGAIN)

    def _watch_repeat(self, body: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        """Note what becomes of repeated benchmarks."""
        for each in self.invariants.on_measured(body, before, self.ever_ready):
            self._break(each)
        status, old = body.get("status") or {}, before.get("status") or {}
        now, then = status.get("benchmark"), old.get("benchmark")
        if now is None or old.get("phase") != "Ready":
            return
        missed = then is not None and not then["passed"]
        if not now["passed"] and not missed:
            self.say(f"{body['metadata']['name']}: {now['message']}")
            self.reached.repeats.add("Missed" if now["requests"] else "Unanswered")
        if now["passed"] and missed:
            self.reached.repeats.add("Missed, and passed again")
        if is_retired(body, before):
            self.reached.repeats.add("Replaced")

    def _watch_lease(self, change: Change, body: Mapping[str, Any]) -> None:
        phase = (body.get("status") or {}).get("phase")
        if phase is not None:
            self.reached.phases.add(phase)
        before = ((change.before or {}).get("status") or {}).get("phase")
        name = body["metadata"]["name"]
        if phase != before:
            status = body.get("status") or {}
            why = (status.get("failure") or {}).get("reason") or status.get("closeReason") or ""
            self.say(f"{name}: {before} -> {phase} {status.get('provider')} {why}")
        if phase == "Ready":
            self.ever_ready.add(name)
        if phase == "Ready" and before != "Ready":
            for each in self.invariants.on_ready(body, self.ports.sentinel.started):
                self._break(each)
        if (body.get("status") or {}).get("closeReason") == "Released":
            self._released(body)
        if change.before is not None:
            self._watch_repeat(body, change.before)
        if change.type == "ADDED":
            self.invariants.on_created(body)
        if change.type == "DELETED":
            for each in self.invariants.on_removed("AkashLease", body):
                self._break(each)
            uid = body["metadata"]["uid"]
            left = [key for key, ask in self.ports.issuer.live.items() if ask.holder == uid]
            if left and uid not in self.invariants.stripped:
                self._break(f"lease {body['metadata']['name']} is gone, {left} are still valid")

    def _released(self, body: Mapping[str, Any]) -> None:
        """Only the deletion of a workload with deletionPolicy Orphan leaves anything running."""
        self.invariants.released.add(body["metadata"]["uid"])
        owner = body["metadata"]["ownerReferences"][0]["uid"]
        if owner not in self.orphaned:
            self._break(f"lease {body['metadata']['name']} was released, nobody asked for it")

    async def close(self) -> None:
        """End every operator."""
        for operator in self.operators:
            await operator.stop()
