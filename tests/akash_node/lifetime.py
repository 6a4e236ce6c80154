"""One workload's life on the chain, from apply to gone, while its operators die and are replaced."""

from __future__ import annotations

import asyncio
import base64
import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import looptime

from akash_sandbox.process import Running, running
from akash_sandbox.providers import PROVIDERS
from akash_sandbox.settings import (
    Chain,
    ChainAccount,
    Settings,
    Workloads,
    provider_id,
)
from garrison.adapters.memory.clock import LoopClock
from garrison.api.meta import ACCOUNT, API_VERSION, LEASE, SECRET, WORKLOAD, Kind
from garrison.api.money import parse_dollars
from kube_light.resource import NAMESPACE as NAMESPACES
from tests.akash_node.audit import Books, audit, open_deployments
from tests.akash_node.ground import Ground, secret_of, signer_of
from tests.akash_node.mortality import Death, Reaper, reaping
from tests.akash_node.node_process import CHAIN_ID
from tests.akash_node.parties import Party
from tests.akash_node.world import SYSTEM, World
from tests.builders import IMAGE

UACT, UAKT = 6_000_000, 50_000_000
"""what the wallet starts with: enough for the order, too little for the warning time"""
EPOCH = 60.0
"""seconds of the ten blocks after which a mint is decided"""
HOME = "prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How a run ended. ``broken`` is empty when every promise was held."""

    seed: int
    broken: tuple[str, ...]
    died_at: tuple[str, ...]
    calls: Mapping[str, int]
    books: Books | None


def live(seed: int, deaths: Sequence[Death] | None = None) -> Life:
    """Run a life on an event loop with virtual time; without ``deaths`` the seed decides them."""
    loop = looptime.new_event_loop(noop_cycles=5)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_live(seed, deaths))
    finally:
        asyncio.set_event_loop(None)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def drawn(chance: random.Random, most: int) -> list[Death]:
    """Return up to so many deaths, half of them at calls that change the market."""
    found = []
    for _ in range(chance.randint(0, most)):
        writing = chance.random() < 0.5
        turns = chance.randint(0, 25) if chance.random() < 0.5 else None
        after = chance.randint(1, 4) if writing else chance.randint(1, 90)
        found.append(Death(after=after, writing=writing, turns=turns))
    return found


def settings_of(address: str) -> Settings:
    """Return a market of two providers, with one funded wallet."""
    return Settings(
        providers=tuple(
            replace(each, id=provider_id(each.name))
            for each in PROVIDERS
            if each.name in {"frost", "prairie"}
        ),
        workloads=Workloads(runtime="synthetic"),
        chain=Chain(
            id=CHAIN_ID,
            tls=False,
            accounts=(ChainAccount(address=address, uakt=UAKT, uact=UACT),),
        ),
    )


async def _live(seed: int, deaths: Sequence[Death] | None) -> Life:
    chance, reaper = random.Random(seed), Reaper()
    clock = LoopClock(datetime.now(UTC))
    address = signer_of("tenant").address
    broken: list[str] = []
    books = None
    with tempfile.TemporaryDirectory(prefix="garrison-life-") as folder, reaping(reaper):
        market = running(
            Path(folder), settings_of(address), 0, clock=lambda: clock.now().timestamp()
        )
        async with market as sandbox:
            ground = Ground(url=_url(sandbox), block_seconds=6, is_real=False)
            world = World(chance=chance, clock=clock, reaper=reaper)
            try:
                async with Party(ground, "tenant", clock) as party:
                    await _open(world, sandbox)
                    books = await _lived(world, party, deaths)
                    broken += [*complaints(books), *_miscounted(world, books)]
            except AssertionError as error:
                broken.append(str(error))
            finally:
                await world.close()
    return Life(
        seed=seed,
        broken=tuple(broken),
        died_at=tuple(reaper.died_at),
        calls=reaper.calls,
        books=books,
    )


async def _lived(world: World, party: Party, deaths: Sequence[Death] | None) -> Books:
    chance, reaper = world.chance, world.reaper
    reaper.appoint(
        deaths if deaths is not None else [*drawn(chance, 5), Death(after=chance.randint(1, 60))]
    )
    for _ in range(2 if deaths is None and chance.random() < 0.2 else 1):
        world.start()
    await world.user.create(WORKLOAD, workload())
    await world.until(lambda: _serves(world, party), "served")
    await world.until(lambda: _topped_up(world), "topped up")
    await asyncio.sleep(chance.random() * 600)
    if deaths is None:
        reaper.appoint(drawn(chance, 3))
    await world.user.delete(WORKLOAD, HOME, "chat")
    await world.until(lambda: _is_gone(world), "gone")
    left = await open_deployments(party)
    assert not left, f"deployments {left} are orphans: no AkashLease is left"
    reaper.appoint(())
    await asyncio.sleep(2 * EPOCH)
    await world.until(lambda: _is_refunded(world, party), "the refund was seen")
    return await audit(party)


def complaints(books: Books) -> list[str]:
    """Return every promise that the books show broken."""
    found = []
    doubled = sorted({each for each in books.markers if books.markers.count(each) > 1})
    if doubled:
        found.append(f"markers {doubled} have more than one deployment")
    if books.open:
        found.append(f"deployments {books.open} are open")
    if books.uact != UACT + books.minted - books.rent:
        found.append(
            f"{books.uact} uact are left of {UACT} + {books.minted} minted - {books.rent} rent"
        )
    if books.uakt != UAKT - books.fees - books.burned:
        found.append(f"{books.uakt} uakt are left of {UAKT} - {books.fees} - {books.burned} burned")
    if books.mints > 1:
        found.append(f"{books.mints} mints in an hour")
    return found


def _miscounted(world: World, books: Books) -> list[str]:
    """Return whether the leases' own statuses come to something else than the chain's books."""
    told = sum(map(parse_dollars, world.spent.values()))
    return (
        [f"the leases say {world.spent}, the rent was {books.rent}"] if told != books.rent else []
    )


async def _open(world: World, sandbox: Running) -> None:
    for name in (SYSTEM, HOME):
        world.store.create(NAMESPACES, {"metadata": {"name": name}})
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "wallet", "namespace": SYSTEM},
        "data": {"key": base64.b64encode(secret_of("tenant").encode()).decode()},
    }
    await world.user.create(SECRET, secret)
    await world.user.create(ACCOUNT, account(_url(sandbox), sandbox.ca_file.read_text()))


def account(url: str, bundle: str) -> dict[str, Any]:
    """Return the account that pays. Nothing is swept: what leaks stays visible."""
    chain = {
        "keySecretRef": {"name": "wallet"},
        "endpoints": [url],
        "chainId": CHAIN_ID,
        "caBundle": bundle,
        "autoMint": True,
    }
    spec = {
        "default": True,
        "backend": {"type": "Chain", "chain": chain},
        "limits": {"maxPricePerHour": "5", "maxLeases": 3, "maxNewLeasesPer10Minutes": 20},
        "treasury": {"depositHours": 1, "minRunwayHours": 2, "warningHours": 4},
        "orphans": "Report",
        "allowPrivateAddresses": True,
    }
    return _object(ACCOUNT, "treasury", spec)


def workload() -> dict[str, Any]:
    """Return a workload of one replica without a sentinel."""
    spec = {
        "image": IMAGE,
        "port": 8000,
        "resources": {"cpu": "1", "memory": "1Gi", "gpu": {"models": [{"model": "h100"}]}},
        "budget": {"maxPricePerHour": "2.50"},
        "traffic": {"drainSeconds": 0},
        "trust": "Unverified",
    }
    return _object(WORKLOAD, "chat", spec, HOME)


def _object(kind: Kind, name: str, spec: Any, namespace: str = "") -> dict[str, Any]:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API_VERSION, "kind": kind.kind, "metadata": meta, "spec": spec}


def _url(sandbox: Running) -> str:
    """By address: names are resolved in a thread, for which virtual time does not wait."""
    return sandbox.chain_urls[0].replace("localhost", "127.0.0.1")


async def _serves(world: World, party: Party) -> bool:
    """A replica is Ready; then its deployment is the only open one."""
    ready = [each for each in await world.objects(LEASE) if _phase(each) == "Ready"]
    if not ready:
        return False
    owned = [each["status"]["deployment"]["id"] for each in ready]
    found = await open_deployments(party)
    assert found == owned, f"deployments {found} are open, {owned} serve"
    return True


async def _topped_up(world: World) -> bool:
    return any(
        ((each.get("status") or {}).get("escrow") or {}).get("topUp", {}).get("outcome")
        == "Deposited"
        for each in await world.objects(LEASE)
    )


async def _is_refunded(world: World, party: Party) -> bool:
    """Whether the account's balance is what the wallet has, to the percent that is shown."""
    (found,) = await world.objects(ACCOUNT)
    has = await party.coins("uact")
    return abs(parse_dollars(found["status"]["balance"]) - has) * 100 <= has


async def _is_gone(world: World) -> bool:
    return not [*await world.objects(WORKLOAD), *await world.objects(LEASE)]


def _phase(lease: Any) -> str:
    return str((lease.get("status") or {}).get("phase"))
