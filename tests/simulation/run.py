"""Runs one seed: chaos, calm, quiet, deletion; and says what broke with a line to replay it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from garrison.api.meta import WORKLOAD
from garrison.api.money import parse_dollars
from garrison.core.minting import REFUSED_PAUSE
from garrison.runtime.engine import RESYNC_SECONDS
from tests.simulation.coverage import Reached
from tests.simulation.instant import InstantLoop
from tests.simulation.invariants import mine, objects
from tests.simulation.people import People, everything_works, fixed_spec
from tests.simulation.scenario import (
    LOOKS,
    MAX_LEASES,
    MEASURED,
    NAMESPACE,
    SLOW_SEED,
    STRICT_SEED,
    WARNING_HOURS,
    Deed,
    adoptions,
    moves,
    script,
    slowdowns,
)
from tests.simulation.world import World

CHAOS = 400.0
SETTLE = 4 * 3600.0
QUIET = 150.0
BENCHMARKED_QUIET = 900.0
"""longer than the period of the benchmark; for one seed in ten"""
LONG_QUIET = 1.5 * 3600
"""longer than the escrow of a tight budget lasts that is not topped up; for one seed in thirty"""
GONE = 1800.0
RESYNCED = RESYNC_SECONDS + 30.0
"""seconds of calm after which every operator has listed everything anew"""
LONG_SEED, LONG_EVERY = 7, 30
MINTED_AGAIN = REFUSED_PAUSE.total_seconds() + 120.0
"""seconds of calm after which a mint that was refused is asked for again"""
LONGEST_REPEAT = 700.0
"""seconds in which a replica is surely measured again, whatever it was asked before"""
SLACK = 10.0
"""seconds that a look itself may take here"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a seed reached."""

    seed: int
    last: str | None
    reached: Reached
    broken: tuple[str, ...]

    @property
    def name(self) -> str:
        """What ``make simulate SEEDS=`` takes to show it again."""
        return str(self.seed) if self.last is None else f"{self.seed}@{self.last}"


def run_seed(
    seed: int, say: Callable[[str], None] = lambda _: None, last: str | None = None
) -> Story:
    """Run a seed on an event loop with virtual time.

    ``last``: an operation of whose first call in the chaos an operator dies. Until then the seed goes
    as without, so that one which calls it there is sure to show what comes of that death.
    """
    loop = InstantLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_run(seed, say, last))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _run(seed: int, say: Callable[[str], None], last: str | None) -> Story:
    world = World(seed, say, last)
    await world.open()
    people = People(world)
    world.new_operator()
    await people.act(Deed(at=0.0, what="create workload", draw=0.0))
    deeds = script(random.Random(seed + 1_000_003), CHAOS)
    deeds += adoptions(seed, CHAOS) + slowdowns(seed, CHAOS) + moves(seed, CHAOS)
    await _chaos(people, sorted(deeds, key=lambda each: each.at))
    everything_works(world)
    world.say("calm")
    try:
        await _reached(world)
        await _noticed(world)
        await _remeasured(world, people, seed)
        await _quiet(world, _quiet_seconds(seed))
        await _wait(world, MINTED_AGAIN, lambda: _unminted(world))
        await _deleted(world)
    finally:
        await world.close()
    return Story(seed=seed, last=last, reached=world.reached, broken=tuple(world.broken))


def _quiet_seconds(seed: int) -> float:
    """Most of a seed's work is in its quiet, and most of what goes wrong before it."""
    if seed % LONG_EVERY == LONG_SEED:
        return LONG_QUIET
    return BENCHMARKED_QUIET if seed % 10 == 0 else QUIET


async def _chaos(people: People, deeds: Sequence[Deed]) -> None:
    loop = asyncio.get_running_loop()
    for deed in deeds:
        await asyncio.sleep(max(0.0, deed.at - loop.time()))
        await people.act(deed)
    await asyncio.sleep(max(0.0, CHAOS - loop.time()))


async def _wait(world: World, seconds: float, done: Callable[[], str]) -> None:
    """Wait until ``done`` has nothing to complain about."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while (complaint := done()) and not world.broken:
        if loop.time() > deadline:
            world.broken.append(f"after {seconds:.0f} calm seconds: {complaint}")
            return
        await asyncio.sleep(5.0)


async def _shrink(world: World) -> None:
    """Delete workloads until the ceilings leave room for all the rest, surge included."""
    total = 0
    for body in objects(world.store, WORKLOAD.kind):
        total += int(body["spec"]["replicas"])
        if total > MAX_LEASES - 2:
            await world.user.delete(WORKLOAD, NAMESPACE, body["metadata"]["name"])


async def _reached(world: World) -> None:
    await _shrink(world)
    for body in objects(world.store, WORKLOAD.kind):
        spec = fixed_spec(body)
        if spec is not None and not body["metadata"].get("deletionTimestamp"):
            name = body["metadata"]["name"]
            kind = world.store.resource(WORKLOAD.group, WORKLOAD.version, WORKLOAD.plural)
            world.store.merge(kind, {"spec": spec}, NAMESPACE, name)
    await _wait(world, SETTLE, lambda: _unreached(world))


async def _noticed(world: World) -> None:
    """A file that changes in a serving replica is noticed within one period, and then set right."""
    victim = _inspected(world)
    if victim is None or world.broken:
        return
    uid = victim["metadata"]["uid"]
    deployment = victim["status"]["deployment"]["id"]
    world.say(f"swapped in calm: {victim['metadata']['name']}")
    world.ports.sentinel.swapped.add(deployment)
    await _wait(world, LOOKS + SLACK, lambda: _unnoticed(world, uid, "Drifted"))
    world.ports.sentinel.swapped.discard(deployment)
    await _wait(world, LOOKS + SLACK, lambda: _unnoticed(world, uid, "Verified"))
    await _wait(world, SETTLE, lambda: _unreached(world))


async def _remeasured(world: World, people: People, seed: int) -> None:
    """What fails a repeat serves on: until a successor does, or until it passes again."""
    ready = [each for each in objects(world.store, "AkashLease") if _is_measurable(each)]
    if not ready or world.broken or seed % 8 not in {SLOW_SEED, STRICT_SEED}:
        return
    victim, strict = ready[0], seed % 8 == STRICT_SEED
    world.say(f"{'asked too much of' if strict else 'slow'} in calm: {victim['metadata']['name']}")
    people.measure(victim, repeatEverySeconds=60, minTokensPerSecond=1000 if strict else 20)
    if not strict:
        world.ports.prober.slow.add(victim["status"]["provider"])
    await _wait(world, LONGEST_REPEAT, lambda: _unmeasured(world, victim, passed=False))
    if strict:
        await asyncio.sleep(300)
        people.measure(victim, minTokensPerSecond=20)
        await _wait(world, LONGEST_REPEAT, lambda: _unmeasured(world, victim, passed=True))
    else:
        await _wait(world, SETTLE, lambda: _unreplaced(world, victim))
    world.ports.prober.slow.clear()
    people.measure(victim, **MEASURED)
    await _wait(world, SETTLE, lambda: _unreached(world))


def _is_measurable(lease: Any) -> bool:
    status = lease.get("status") or {}
    measured = (status.get("benchmark") or {}).get("passed", False)
    return (
        status.get("phase") == "Ready"
        and measured
        and not lease["metadata"].get("deletionTimestamp")
    )


def _unreplaced(world: World, victim: Any) -> str:
    name = victim["metadata"]["name"]
    left = [each["metadata"]["name"] for each in objects(world.store, "AkashLease")]
    return f"{name} is slow, and nothing has replaced it" if name in left else ""


def _unmeasured(world: World, victim: Any, *, passed: bool) -> str:
    """It serves whatever its benchmark says; what else may end it is no matter here."""
    name = victim["metadata"]["name"]
    for body in objects(world.store, "AkashLease"):
        status, gone = body.get("status") or {}, body["metadata"].get("deletionTimestamp")
        if body["metadata"]["name"] == name and status["phase"] == "Ready" and not gone:
            same = status["benchmark"]["passed"] == passed
            return "" if same else f"{name} was not measured again"
    return ""


def _inspected(world: World) -> Any | None:
    """A lease that serves, and was found to be as it should be: as the image says, not an intruder."""
    for body in objects(world.store, "AkashLease"):
        status = body.get("status") or {}
        found = status.get("integrity") or {}
        if status.get("phase") != "Ready" or found.get("state") != "Verified":
            continue
        if status["deployment"]["id"] not in world.overwritten:
            return body
    return None


def _unnoticed(world: World, uid: str, state: str) -> str:
    for body in objects(world.store, "AkashLease"):
        if body["metadata"]["uid"] != uid or body["status"].get("failure") is not None:
            continue
        found = body["status"]["integrity"]["state"]
        if found != state:
            return f"lease {body['metadata']['name']} says {found}, not {state}"
    return ""


def _unreached(world: World) -> str:
    for body in objects(world.store, WORKLOAD.kind):
        complaint = _not_ready(body)
        if complaint:
            return complaint
    orphans = [each.id for each in world.ports.market.paid() if _is_orphan(world, mine(each))]
    return f"orphans {orphans} are still paid" if orphans else ""


def _is_orphan(world: World, uid: str | None) -> bool:
    leases = {each["metadata"]["uid"] for each in objects(world.store, "AkashLease")}
    return uid is not None and uid not in leases and uid not in world.invariants.released


def _not_ready(body: Any) -> str:
    meta, status = body["metadata"], body.get("status") or {}
    if meta.get("deletionTimestamp"):
        return f"{meta['name']} is still being deleted"
    ready = next((each for each in status.get("conditions", ()) if each["type"] == "Ready"), None)
    if ready is None or ready["observedGeneration"] != meta["generation"]:
        return f"{meta['name']} has no Ready condition of its generation"
    if ready["status"] != "True":
        return f"{meta['name']} is not Ready: {ready['reason']}: {ready['message']}"
    if status["readyReplicas"] != body["spec"]["replicas"]:
        return f"{meta['name']}: {status['readyReplicas']} of {body['spec']['replicas']} ready"
    if len(status["leases"]) != body["spec"]["replicas"]:
        return f"{meta['name']}: {len(status['leases'])} leases for {body['spec']['replicas']}"
    return ""


async def _quiet(world: World, seconds: float) -> None:
    """Once reached, the operators write nothing more about workloads and leases.

    What a lost event has hidden comes to light with a resync: that may still be written, once.
    """
    for _ in range(2):  # a status may say that all is well a moment after it has ceased to be
        await asyncio.sleep(2.0 * LOOKS)
        await _wait(world, SETTLE, lambda: _unreached(world))
    await asyncio.sleep(2.0 * LOOKS)
    noise = await _noise(world, seconds)
    if noise and asyncio.get_running_loop().time() - seconds < CHAOS + RESYNCED:
        await _wait(world, SETTLE, lambda: _unreached(world))
        noise = await _noise(world, RESYNCED)
    if noise and not _unreached(world) and not world.broken:
        world.broken.append(f"writes in {seconds:.0f} quiet seconds: {noise}")


async def _noise(world: World, seconds: float) -> list[str]:
    """Return what is written in so many seconds that nothing asked for."""
    since = asyncio.get_running_loop().time()
    await asyncio.sleep(seconds)
    return sorted({what for at, what in world.writes if at > since and not _is_measured(what)})


def _is_measured(what: str) -> bool:
    """A benchmark is repeated every ten minutes here, and its figures are written."""
    return what.startswith("AkashLease/")


def _unminted(world: World) -> str:
    """A mint that was refused is asked for again while what it was for is lacking."""
    for body in objects(world.store, "AkashAccount"):
        status = body.get("status") or {}
        mint = status.get("mint") or {}
        needed = parse_dollars(status.get("burnPerHour") or "0") * WARNING_HOURS
        if mint.get("outcome") == "Refused" and world.ports.market.balance_available < needed:
            return f"a mint of {mint['amount']} was refused, and nobody asks for it again"
    return ""


async def _deleted(world: World) -> None:
    for body in objects(world.store, WORKLOAD.kind):
        await world.user.delete(WORKLOAD, NAMESPACE, body["metadata"]["name"])
    await _wait(world, GONE, lambda: _left(world))


def _left(world: World) -> str:
    for kind in ("InferenceWorkload", "AkashLease"):
        names = [each["metadata"]["name"] for each in objects(world.store, kind)]
        if names:
            return f"{kind} {names} are left"
    paid = [
        each.id
        for each in world.ports.market.paid()
        if mine(each) is not None and mine(each) not in world.invariants.released
    ]
    if paid:
        return f"deployments {paid} are still paid"
    adopted = world.invariants.kept_of_adopted()
    if adopted:
        return f"adopted deployments {adopted} are still paid"
    kept = sorted(name for name in world.ports.bootstraps.held)
    if kept:
        return f"bootstraps {kept} are left"
    live = sorted(world.ports.issuer.live)
    return f"credentials {live} are still valid" if live else ""
