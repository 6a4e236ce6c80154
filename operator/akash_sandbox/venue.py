"""The running market: the book, its state on disk, the faults that are on, and the workloads."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import TypeAdapter

from akash_sandbox import leased_service
from akash_sandbox.account import AccountKey, load_or_create
from akash_sandbox.chain.bme import Price
from akash_sandbox.chain.chain import Chain, open_account
from akash_sandbox.external_ports import ExternalPorts
from akash_sandbox.faults import Faults, faults_from_json
from akash_sandbox.files import write_private
from akash_sandbox.market.bank import UACT, UAKT, Bank
from akash_sandbox.market.blocks import Blocks
from akash_sandbox.market.book import Book, Terms
from akash_sandbox.market.decimals import UNIT
from akash_sandbox.market.deployment import Deployment
from akash_sandbox.market.events import Events
from akash_sandbox.market.grants import Grants, GrantSet
from akash_sandbox.market.lease import Lease, LeaseKey
from akash_sandbox.market.provider import Provider
from akash_sandbox.market.provider_side import ProviderSide
from akash_sandbox.market.records import Audit, Record, Records, RecordSet
from akash_sandbox.market.tenant_side import TenantSide
from akash_sandbox.sdl.canonical import manifest_hash
from akash_sandbox.seen import Seen
from akash_sandbox.settings import Settings
from akash_sandbox.store import Store
from akash_sandbox.workload import WorkloadAsk, Workloads

Json = dict[str, Any]
_T = TypeVar("_T")

_MICRO = 1_000_000
_LOOPBACK = "127.0.0.1"
# What the account and every provider start with, for fees and for the deposits of bids.
_UAKT = 100 * _MICRO
_PROVIDER_UACT = 1_000_000 * _MICRO
_LEAST_BLOCK = 0.05
_BLOCKS = TypeAdapter(Blocks)
_GRANTS = TypeAdapter(GrantSet)
_RECORDS = TypeAdapter(RecordSet)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One workload with the provider that runs it."""

    provider: Provider
    key: LeaseKey
    ask: WorkloadAsk


WorkloadsFactory = Callable[[Seen], Workloads]


class Venue:
    """One account's market. Writes its state before any answer goes out.

    The store is SQLite on the local disk: a write takes well under a millisecond, so it is not
    worth a thread.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        workloads: WorkloadsFactory,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.seen = Seen(folder / "seen", lambda scope: self.faults.hostility(scope).reads)
        self.workloads = workloads(self.seen)
        self.now = clock
        self.account: AccountKey = load_or_create(folder / "account.pem")
        write_private(folder / "account.hex", self.account.hex().encode())
        self.api_key = _secret(folder / "api-key", settings.api_key)
        self.admin_token = _secret(folder / "admin-token", "")
        self.ports = ExternalPorts(folder / "server-ports.json", settings.public_host or _LOOPBACK)
        self._store = Store(folder / "market.sqlite")
        self.faults: Faults = faults_from_json(self._store.fact("faults"))
        self.book = self._open_book()
        self.tenant = TenantSide(self.book)
        self.providing = ProviderSide(self.book)
        self.chain = self._open_chain()
        self._manifests: dict[str, list[Json]] = {
            name.removeprefix("manifest/"): body
            for name, body in self._store.named("manifest/").items()
        }
        self._deployed: set[str] = set()
        self._lock = asyncio.Lock()

    @property
    def public_host(self) -> str:
        """The address where everything listens that has none of its own."""
        return self.settings.public_host or _LOOPBACK

    def provider(self, name_or_address: str) -> Provider | None:
        """Return a provider by its name or its address."""
        for provider in self.book.providers.values():
            if name_or_address in (provider.name, provider.id):
                return provider
        return None

    def host_uri(self, provider: Provider) -> str:
        """Return where a provider's gateway listens."""
        return f"https://{self.host_of(provider)}:{self.gateway_port(provider)}"

    def host_of(self, provider: Provider) -> str:
        """Return the address of a provider's gateway and of its forwarded ports."""
        return provider.host or self.public_host

    def gateway_port(self, provider: Provider) -> int:
        return self.ports.of(f"gateway/{provider.name}")

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the chain's nodes."""
        return tuple(f"node-{number}" for number in range(1, self.settings.chain.nodes + 1))

    @property
    def chain_urls(self) -> tuple[str, ...]:
        """Where the nodes answer, in the order of their names."""
        scheme = "https" if self.settings.chain.tls else "http"
        ports = (self.ports.of(f"chain/{node}") for node in self.nodes)
        host = "localhost" if self.public_host == _LOOPBACK else self.public_host
        return tuple(f"{scheme}://{host}:{port}" for port in ports)

    # -- time

    async def open(self) -> None:
        """Start again what ran before."""
        await self.workloads.open()
        await self.advance()

    async def tick(self) -> None:
        """Make the blocks that are due, and put what happened in them into effect."""
        if self.chain.advance(self.now()):
            await self.commit()

    async def advance(self) -> None:
        """Do everything that time alone makes happen, then bring the workloads in line."""
        now = self.now()
        self.chain.advance(now)
        self.providing.withdraw_all(now)
        self.act(now)
        await self.commit()

    def act(self, now: float) -> None:
        """Let this market's own providers do what they do at this time."""
        self.providing.reclaim_due(now)
        self.providing.expire_bids(now)
        self.providing.post_bids(now, self._silent())
        self.book.events.take()

    async def keep_time(self) -> None:
        """Advance for ever."""
        while True:
            await asyncio.sleep(self.settings.settle_seconds)
            await self.advance()

    async def keep_blocks(self) -> None:
        """Make a block for every transaction that waits, for ever."""
        while True:
            await asyncio.sleep(max(_LEAST_BLOCK, self.settings.block_seconds))
            if self.chain.waiting:
                await self.tick()

    async def commit(self) -> None:
        """Write what changed to the disk, and bring the workloads in line with the leases."""
        self._store.save(self.book.deployments, self._facts())
        async with self._lock:
            await self._sync()

    async def close(self) -> None:
        """Stop the workloads; what is on disk starts them again next time."""
        async with self._lock:
            await self.workloads.close()
        self._store.close()

    # -- manifests and workloads

    def accept_manifest(self, deployment: Deployment, provider: str, manifest: list[Json]) -> bool:
        """Keep a manifest for a provider; return whether it is the deployment's own."""
        if manifest_hash(manifest).hex() != deployment.hash:
            return False
        name = f"{deployment.id}/{provider}"
        if self._manifests.get(name) != manifest:
            self._manifests[name] = manifest
            self._store.put(f"manifest/{name}", manifest)
        return True

    def public_keys(self) -> dict[str, ec.EllipticCurvePublicKey]:
        """Return the keys of the accounts that the chain knows, by address."""
        return self.chain.state.accounts.keys()

    def deployment(self, owner: str, dseq: str) -> Deployment | None:
        """Return a deployment of an account."""
        return self.book.get(owner, dseq)

    def manifest_of(self, deployment: Deployment, provider: str) -> list[Json] | None:
        """Return the manifest that a provider got for a deployment."""
        return self._manifests.get(f"{deployment.id}/{provider}")

    def lease_status(self, deployment: Deployment, lease: Lease) -> Json | None:
        """Return the provider's status of an open lease, None before it has the manifest."""
        manifest = self.manifest_of(deployment, lease.provider)
        if manifest is None or not lease.is_open:
            return None
        found = {
            service["name"]: (
                service,
                self.workloads.state(leased_service.workload_id(deployment, lease, service)),
            )
            for service in leased_service.services(deployment, lease, manifest)
        }
        return leased_service.status(found, self.host_of(self.book.providers[lease.provider]))

    def placed(self) -> Iterator[Placed]:
        """Yield every workload that has to exist now."""
        for deployment, lease in self.book.open_leases():
            if lease.provider not in self.book.providers:
                continue
            manifest = self.manifest_of(deployment, lease.provider)
            for service in leased_service.services(deployment, lease, manifest or []):
                id_ = leased_service.workload_id(deployment, lease, service)
                provider = self.book.providers[lease.provider]
                yield Placed(
                    provider=provider,
                    key=deployment.key(lease),
                    ask=leased_service.ask(id_, service, provider),
                )

    # -- inside

    def _open_book(self) -> Book:
        """Return the book of the last run, else one in which the account has its balance."""
        settings = self.settings
        bank = Bank(Events(), self._store.fact("bank", {}))
        if self._store.fact("bank") is None:
            bank.mint(self.account.address, UACT, round(settings.balance * _MICRO))
            bank.mint(self.account.address, UAKT, _UAKT)
        for provider in settings.providers:
            missing = _PROVIDER_UACT - bank.balance(provider.id, UACT)
            bank.mint(provider.id, UACT, max(0, missing))
        return Book(
            blocks=self._open_blocks(),
            providers=settings.providers,
            bank=bank,
            events=bank.events,
            terms=Terms(bid_timeout_seconds=settings.bid_timeout_seconds),
            grants=Grants(_read(_GRANTS, self._store.fact("grants"))),
            records=self._open_records(),
            deployments=self._store.deployments(),
        )

    def _open_blocks(self) -> Blocks:
        found = _read(_BLOCKS, self._store.fact("blocks"))
        return found or Blocks(genesis=self.now(), seconds=self.settings.block_seconds)

    def _open_records(self) -> Records:
        """Return what the chain says about providers; this market's own are always up to date."""
        records = Records(_read(_RECORDS, self._store.fact("records")))
        for provider in self.settings.providers:
            attributes = tuple(sorted(provider.all_attributes.items()))
            records.put_provider(
                Record(owner=provider.id, host_uri=self.host_uri(provider), attributes=attributes)
            )
            for auditor in provider.audited_by:
                audit = Audit(owner=provider.id, auditor=auditor, attributes=attributes)
                records.put_audit(audit)
        return records

    def _open_chain(self) -> Chain:
        """Return the chain as it was left; its accounts get what they start with, once."""
        settings, book = self.settings.chain, self.book
        chain = Chain(
            settings.id,
            book,
            tenant=self.tenant,
            providing=self.providing,
            act=self.act,
            facts=self._store.fact("chain", {}),
            results={
                name.removeprefix("tx/"): body for name, body in self._store.named("tx/").items()
            },
            now=self.now(),
        )
        for each in settings.accounts:
            coins = {UAKT: each.uakt, UACT: each.uact}
            open_account(chain, each.address, coins=coins)
        open_account(chain, self.account.address, key=self.account.point)
        for provider in self.settings.providers:
            open_account(chain, provider.id)
        if settings.akt_price and chain.state.bme.current.price is None:
            value = round(settings.akt_price * _MICRO) * UNIT // _MICRO
            source = self.account.address
            chain.state.bme.set_price(Price(value=value, at=self.now(), source=source))
        self._apply_chain_faults(chain)
        return chain

    def apply_chain_faults(self) -> None:
        """Put the chain's faults into effect, after they changed."""
        self._apply_chain_faults(self.chain)

    def set_balance(self, address: str, denom: str, amount: int) -> None:
        """Give an account so much, whatever it had."""
        open_account(self.chain, address)
        has = self.book.bank.balance(address, denom)
        self.book.bank.burn(address, denom, has)
        self.book.bank.mint(address, denom, amount)

    def _apply_chain_faults(self, chain: Chain) -> None:
        chain.gas_percent = self.faults.current.gas_percent
        nodes = self.faults.current.nodes.values()
        chain.remember(max((node.lag_blocks for node in nodes), default=0))

    def _facts(self) -> Json:
        return {
            "chain": self.chain.facts(),
            **{f"tx/{h}": body for h, body in self.chain.fresh_results().items()},
            "faults": self.faults.as_json(),
            "blocks": _BLOCKS.dump_python(self.book.blocks, mode="json"),
            "bank": self.book.bank.snapshot(),
            "grants": _GRANTS.dump_python(self.book.grants.current, mode="json"),
            "records": _RECORDS.dump_python(self.book.records.current, mode="json"),
        }

    def _silent(self) -> frozenset[str]:
        if self.faults.current.no_bids:
            return frozenset(self.book.providers)
        return frozenset(p.id for p in self.book.providers.values() if self._mute(p))

    def _mute(self, provider: Provider) -> bool:
        fault = self.faults.provider(provider.name)
        return fault.dead or fault.silent

    async def _sync(self) -> None:
        wanted = {placed.ask.id: placed for placed in self.placed()}
        for gone in self._deployed - wanted.keys():
            await self.workloads.remove(gone)
        self._deployed = set(wanted)
        for placed in wanted.values():
            await self.workloads.deploy(placed.ask)
            await self._afflict(placed)

    async def _afflict(self, placed: Placed) -> None:
        """Make one workload suffer its provider's faults."""
        fault = self.faults.provider(placed.provider.name)
        slowdown = placed.provider.slowdown * fault.slowdown
        await self.workloads.suspend(placed.ask.id, fault.dead)
        await self.workloads.shape(
            placed.ask.id,
            latency_ms=fault.latency_ms,
            bytes_per_second=fault.bytes_per_second,
            speed_percent=max(1, round(100 / slowdown)),
        )
        hostility = self.faults.hostility(placed.provider.name)
        await self.workloads.turn(placed.ask.id, hostility)


def _read(adapter: TypeAdapter[_T], value: Any) -> _T | None:
    return None if value is None else adapter.validate_python(value)


def _secret(path: Path, configured: str) -> str:
    """Return the configured secret, else the one in the file, made on the first start."""
    if configured or not path.exists():
        write_private(path, (configured or secrets.token_urlsafe(24)).encode())
    return path.read_text().strip()
