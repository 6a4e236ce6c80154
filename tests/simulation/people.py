"""Performs the deeds of a scenario on a world, as kubectl users and providers would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from garrison.adapters.memory.records import DeploymentRecord
from garrison.api.meta import ANNOTATION_ROTATE, EGRESS, LEASE, ROTATING, WORKLOAD
from garrison.api.money import MicroUSD
from garrison.core.marker import Marker
from garrison.errors import FundsError
from garrison.ports.kube import Object
from garrison.ports.market import Order
from kube_light.resource import Resource
from tests.simulation.invariants import mine, objects
from tests.simulation.operator import INSTALLATION
from tests.simulation.scenario import (
    ACCOUNT_NAME,
    CRASHING,
    GOOD,
    LOST_LEASE,
    MEASURED,
    MISSING,
    NAMESPACE,
    NEWER,
    Deed,
    sources,
    workload,
)
from tests.simulation.world import World

T = TypeVar("T")


class People:
    """One method per deed; a deed without a victim does nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._created = 0
        self._noise = 0

    async def act(self, deed: Deed) -> None:
        """Do it."""
        world = self._world
        world.say(f"deed: {deed.what}")
        name = f"_{deed.what.replace(' ', '_')}"
        await getattr(self, name)(deed.draw)

    def _pick(self, found: Sequence[T], draw: float) -> T | None:
        return found[int(draw * len(found))] if found else None

    def _edit(self, draw: float, change: Callable[[dict[str, Any]], None]) -> None:
        victim = self._pick(objects(self._world.store, WORKLOAD.kind), draw)
        if victim is None or victim["metadata"].get("deletionTimestamp"):
            return
        name = victim["metadata"]["name"]
        spec = dict(victim["spec"])
        change(spec)
        self._world.store.merge(self._resource(), {"spec": spec}, NAMESPACE, name)

    def _resource(self) -> Resource:
        return self._world.store.resource(WORKLOAD.group, WORKLOAD.version, WORKLOAD.plural)

    async def _create_workload(self, draw: float) -> None:
        del draw
        self._created += 1
        body = workload(f"chat{self._created}", self._world.chance)
        await self._world.user.create(WORKLOAD, body)

    async def _adopt(self, draw: float) -> None:
        """A person starts a deployment at a provider, and then has Garrison take it over."""
        market = self._world.ports.market
        provider = self._pick(sorted(market.providers_by_id), draw)
        assert provider is not None
        self._created += 1
        order = replace(_by_hand(f"dcloud{self._created}"), deposit=MicroUSD(4_000_000))
        try:
            record = market.start_by_hand(order, provider)
        except FundsError:
            return
        self._world.invariants.by_hand.add(record.id)
        body = workload(f"moved{self._created}", self._world.chance)
        for name in ("integrity", "egressPolicyRef", "secrets", "metrics", "budget"):
            body["spec"].pop(name, None)
        body["spec"] |= {"trust": "Unverified", "adopt": {"deployment": record.id}}
        await self._world.user.create(WORKLOAD, body)

    async def _delete_workload(self, draw: float) -> None:
        victim = self._pick(objects(self._world.store, WORKLOAD.kind), draw)
        if victim is not None:
            await self._world.user.delete(WORKLOAD, NAMESPACE, victim["metadata"]["name"])

    async def _scale(self, draw: float) -> None:
        self._edit(draw, lambda spec: spec.update(replicas=int(draw * 7919) % 6))

    async def _edit_image(self, draw: float) -> None:
        self._edit(draw, lambda spec: spec.update(image=NEWER if spec["image"] == GOOD else GOOD))

    async def _crashing_image(self, draw: float) -> None:
        self._edit(draw, lambda spec: spec.update(image=CRASHING))

    async def _missing_image(self, draw: float) -> None:
        self._edit(draw, lambda spec: spec.update(image=MISSING))

    async def _bad_edit(self, draw: float) -> None:
        self._edit(draw, lambda spec: spec.update(providerPolicyRef={"name": "nobody"}))

    async def _edit_in_place(self, draw: float) -> None:
        self._edit(draw, lambda spec: spec["health"].update(periodSeconds=5 + int(draw * 10)))

    async def _measure_often(self, draw: float) -> None:
        del draw
        for body in objects(self._world.store, WORKLOAD.kind):
            self._measure(body, repeatEverySeconds=60)

    async def _raise_threshold(self, draw: float) -> None:
        del draw
        for body in objects(self._world.store, WORKLOAD.kind):
            self._measure(body, minTokensPerSecond=1000)

    def measure(self, lease: Mapping[str, Any], **fields: object) -> None:
        """Edit by what the replicas of a lease's workload are measured."""
        owner = lease["metadata"]["ownerReferences"][0]["name"]
        for body in objects(self._world.store, WORKLOAD.kind):
            if body["metadata"]["name"] == owner:
                self._measure(body, **fields)

    def _measure(self, body: Mapping[str, Any], **fields: object) -> None:
        spec = {"spec": {"benchmark": fields}}
        self._world.store.merge(self._resource(), spec, NAMESPACE, body["metadata"]["name"])

    async def _slow_host(self, draw: float) -> None:
        self._spoil(self._world.ports.prober.slow, draw)

    async def _delete_lease_object(self, draw: float) -> None:
        victim = self._pick(objects(self._world.store, LEASE.kind), draw)
        if victim is not None:
            await self._world.user.delete(LEASE, NAMESPACE, victim["metadata"]["name"])

    async def _strip_finalizer(self, draw: float) -> None:
        """Somebody removes the finalizer of a lease that lives on."""
        victim = self._pick(objects(self._world.store, LEASE.kind), draw)
        if victim is not None and not victim["metadata"].get("deletionTimestamp"):
            self._bare(victim)

    async def _remove_by_force(self, draw: float) -> None:
        """Somebody patches the finalizer away, and deletes, of a lease that has adopted something."""
        leases = objects(self._world.store, LEASE.kind)
        victim = self._pick([each for each in leases if each["spec"].get("adopts")], draw)
        if victim is not None:
            self._bare(victim)
            await self._world.user.delete(LEASE, NAMESPACE, victim["metadata"]["name"])

    def _bare(self, lease: Mapping[str, Any]) -> None:
        """Take a lease's finalizer away."""
        kind = self._world.store.resource(LEASE.group, LEASE.version, LEASE.plural)
        bare: Object = {"metadata": {"finalizers": []}}
        self._world.invariants.stripped.add(lease["metadata"]["uid"])
        self._world.store.merge(kind, bare, NAMESPACE, lease["metadata"]["name"])

    async def _kill_provider(self, draw: float) -> None:
        victim = self._busy(draw)
        if victim is not None:
            self._world.ports.market.kill(victim)

    async def _revive_provider(self, draw: float) -> None:
        market, now = self._world.ports.market, self._world.clock.now()
        dead = [each for each in sorted(market.alive) if not market.alive[each].at(now)]
        victim = self._pick(dead, draw)
        if victim is not None:
            market.revive(victim)

    def _leased(self, draw: float) -> DeploymentRecord | None:
        found = [each for each in self._world.ports.market.paid() if each.lease is not None]
        return self._pick(found, draw)

    async def _close_lease(self, draw: float) -> None:
        victim = self._leased(draw)
        if victim is not None:
            self._world.ports.market.close_lease(victim.id, "lease_closed_unstable")

    async def _reclaim(self, draw: float) -> None:
        victim = self._leased(draw)
        if victim is not None:
            deadline = self._world.clock.now() + timedelta(minutes=5)
            self._world.ports.market.reclaim(victim.id, deadline)

    async def _slow_provider(self, draw: float) -> None:
        victim = self._pick(sorted(self._world.ports.market.providers_by_id), draw)
        if victim is not None:
            self._world.ports.prober.slow.add(victim)

    async def _sick_container(self, draw: float) -> None:
        victim = self._leased(draw)
        if victim is not None:
            self._world.ports.prober.sick.add(victim.id)

    async def _restart_container(self, draw: float) -> None:
        victim = self._leased(draw)
        if victim is not None:
            self._world.ports.sentinel.restart(victim.id)

    async def _weak_machine(self, draw: float) -> None:
        self._spoil(self._world.ports.sentinel.weak, draw)

    async def _copied_container(self, draw: float) -> None:
        self._spoil(self._world.ports.sentinel.cloning, draw)

    async def _foreign_container(self, draw: float) -> None:
        self._spoil(self._world.ports.sentinel.foreign, draw)

    async def _swapped_file(self, draw: float) -> None:
        victim = self._leased(draw)
        if victim is not None:
            self._world.ports.sentinel.swapped.add(victim.id)
            self._world.overwritten.add(victim.id)

    async def _intruder(self, draw: float) -> None:
        victim = self._leased(draw)
        if victim is not None:
            self._world.ports.sentinel.invaded.add(victim.id)

    async def _stale_answers(self, draw: float) -> None:
        self._spoil(self._world.ports.sentinel.stale, draw)

    def _spoil(self, hostile: set[str], draw: float) -> None:
        victim = self._busy(draw)
        if victim is not None:
            hostile.add(victim)

    def _busy(self, draw: float) -> str | None:
        """A provider that holds a lease, any one while none does."""
        market = self._world.ports.market
        busy = [each.lease.provider for each in market.paid() if each.lease is not None]
        return self._pick(busy or sorted(market.providers_by_id), draw)

    async def _edit_egress(self, draw: float) -> None:
        kind = self._world.store.resource(EGRESS.group, EGRESS.version, EGRESS.plural)
        allow = [{"host": f"hub{int(draw * 100)}.example", "ports": [443]}]
        self._world.store.merge(kind, {"spec": {"allow": allow}}, NAMESPACE, "hub")

    async def _rotate(self, draw: float) -> None:
        kind = self._world.store.resource(ROTATING.group, ROTATING.version, ROTATING.plural)
        asked = {"metadata": {"annotations": {ANNOTATION_ROTATE: str(draw)}}}
        self._world.store.merge(kind, asked, NAMESPACE, "own" if draw < 0.7 else "shared")

    async def _move_source(self, draw: float) -> None:
        kind = self._world.store.resource(ROTATING.group, ROTATING.version, ROTATING.plural)
        name = "own" if draw < 0.7 else "shared"
        source = self._pick(sources(name), draw * 7919 % 1)
        self._world.store.merge(kind, {"spec": {"source": source}}, NAMESPACE, name)

    async def _change_source(self, draw: float) -> None:
        self._world.ports.issuer.content = str(draw)

    async def _no_bids(self, draw: float) -> None:
        """Everybody who is cheap stops bidding: killed machines that come back in the calm."""
        market = self._world.ports.market
        for each in sorted(market.providers_by_id)[: int(draw * 6)]:
            market.kill(each)

    async def _lose_account_key(self, draw: float) -> None:
        if draw < 0.5:
            self._world.ports.exchanges.locked.add(ACCOUNT_NAME)

    async def _start_operator(self, draw: float) -> None:
        del draw
        if len(self._world.alive()) < 3:
            self._world.new_operator()

    async def _stop_operator(self, draw: float) -> None:
        victim = self._pick(self._world.alive(), draw)
        if victim is not None:
            await victim.stop()
            loop_time = self._world.chance.random() * 60
            self._world.later(loop_time, self._world.ensure_operator)

    async def _orphan(self, draw: float) -> None:
        """A deployment with our marker that no lease knows: a lost create of long ago."""
        del draw
        known = [each for each in self._world.ports.market.paid() if mine(each) is not None]
        if len(known) >= 3:
            return
        self._noise += 1
        lost = f"{LOST_LEASE}{self._noise:012d}"
        marker = Marker(installation=INSTALLATION, lease=lost, attempt=0)
        await self._world.ports.market.create(
            _by_hand(str(marker)), self._world.ports.market.propose_id()
        )


def _by_hand(marker: str) -> Order:
    """An order that no operator of this seed makes."""
    return Order(
        marker=marker,
        image=GOOD,
        ports=(8000,),
        cpu_millis=1000,
        memory_bytes=1 << 30,
        storage_bytes=1 << 30,
        max_price_per_hour=MicroUSD(1_000_000),
        deposit=MicroUSD(1_000_000),
    )


def everything_works(world: World) -> None:
    """The calm after the chaos: every fault is lifted."""
    world.weather.chaos = False
    world.ports.exchanges.locked.clear()
    world.ports.prober.slow.clear()
    world.ports.prober.sick.clear()
    sentinel = world.ports.sentinel
    for hostile in (sentinel.weak, sentinel.cloning, sentinel.foreign, sentinel.stale):
        hostile.clear()
    sentinel.swapped.clear()
    sentinel.invaded.clear()
    for each in sorted(world.ports.market.alive):
        world.ports.market.revive(each)
    world.ensure_operator()


def fixed_spec(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the spec with what a person got wrong put right, None when nothing was wrong."""
    spec = dict(body["spec"])
    wrong = spec["image"] in {CRASHING, MISSING}
    if wrong:
        spec["image"] = GOOD
    if (spec.get("providerPolicyRef") or {}).get("name") == "nobody":
        spec["providerPolicyRef"] = {"name": "anyone"}
        wrong = True
    if spec["benchmark"] != MEASURED:
        spec["benchmark"] = dict(MEASURED)
        wrong = True
    if spec.get("adopt") is not None and (body.get("status") or {}).get("adopted") is None:
        spec["adopt"] = None
        wrong = True
    return spec if wrong else None
