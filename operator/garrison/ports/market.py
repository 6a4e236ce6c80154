"""The market: deployments are ordered, providers bid, one bid becomes the lease.

Every method may raise TransientError (safe to repeat), AuthError, or RejectedError. The writes
(``create``, ``accept``, ``close``, ``deposit``) raise UnknownOutcomeError when the request may have
reached the market and its result is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from garrison.api.account import Account
from garrison.api.money import MicroUSD


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketTraits:
    """How this market behaves.

    ``chooses_id``: the caller picks the deployment's id; else the market does. A market that could not
    take the id once gives another, which the marker tells.
    ``outcome_horizon``: after this long, a write whose effect cannot be found did not happen.
    ``escrow_lags``: whether ``Deployment.escrow`` is what was left when rent was last collected (may be
    a day ago) and not what is left now.
    """

    chooses_id: bool
    outcome_horizon: timedelta
    escrow_lags: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuAsk:
    """GPUs of one replica. ``memory`` such as "80Gi"; None means any."""

    vendor: str
    model: str
    count: int
    memory: str | None = None
    interface: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullLogin:
    """What a provider logs in with at an image's registry. It can read it; nobody else is shown it."""

    host: str
    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One deployment with one group, one service, count 1: what is to be leased.

    Memory and storage in bytes, CPU in thousandths of a core, money in micro-dollars.
    The image is referenced by digest. ``marker`` becomes the group's name. ``ports`` are forwarded as
    raw TCP, without repeats.
    """

    marker: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    ports: tuple[int, ...]
    cpu_millis: int
    memory_bytes: int
    storage_bytes: int
    gpu: GpuAsk | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    audited_by: tuple[str, ...] = ()
    max_price_per_hour: MicroUSD
    deposit: MicroUSD
    login: PullLogin | None = None
    """None: the image is public, or the provider cannot pull it"""


class DeploymentState(StrEnum):
    ACTIVE = "active"
    CLOSED = "closed"


class LeaseState(StrEnum):
    ACTIVE = "active"
    RECLAIMING = "reclaiming"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketLease:
    """A lease as the market reports it. ``reason`` is the market's close reason, "" when open."""

    provider: str
    gseq: int
    oseq: int
    state: LeaseState
    price_per_hour: MicroUSD
    reason: str = ""
    reclaim_deadline: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment as the market reports it. ``marker`` is its group's name.

    ``escrow`` is what is left for rent, ``spent`` the rent that was paid; None when the market does not
    say. ``version`` is the hash of its manifest in hex, "" when the market does not say.
    """

    id: str
    marker: str
    state: DeploymentState
    leases: tuple[MarketLease, ...] = ()
    escrow: MicroUSD | None = None
    spent: MicroUSD | None = None
    version: str = ""


class BidState(StrEnum):
    OPEN = "open"
    ACTIVE = "active"
    LOST = "lost"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """An offer for one deployment. ``gpu_model`` is what would be assigned, None when not said."""

    deployment: str
    gseq: int
    oseq: int
    provider: str
    price_per_hour: MicroUSD
    state: BidState
    gpu_model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAttribute:
    key: str
    value: str
    audited_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderGpu:
    vendor: str
    model: str
    memory: str | None = None
    interface: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFact:
    """A provider as the market lists it; uptimes in thousandths, None when not measured."""

    id: str
    host_uri: str
    region: str
    online: bool
    attributes: tuple[ProviderAttribute, ...] = ()
    gpus: tuple[ProviderGpu, ...] = ()
    uptime_1d: int | None = None
    uptime_7d: int | None = None
    uptime_30d: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """``available`` can be deposited; ``escrowed`` lies in open deployments.

    ``fees``: millionths of an AKT that transactions can be paid from, None where the account pays none.
    ``until``: when the first of the grants ends that they are paid from, None: never.
    """

    available: MicroUSD
    escrowed: MicroUSD | None = None
    fees: int | None = None
    until: datetime | None = None
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFact:
    """A node that the market is reached through. ``lag`` in blocks; None: it has not answered."""

    url: str
    usable: bool
    height: int | None = None
    lag: int | None = None
    message: str = ""


class Market(Protocol):
    """One account at one market."""

    @property
    def traits(self) -> MarketTraits: ...

    def propose_id(self) -> str | None:
        """Return a fresh deployment id where the caller chooses it, else None."""

    async def create(self, order: Order, deployment_id: str | None) -> Deployment:
        """Post the order. With a chosen id that exists already: AlreadyExistsError.

        A TransientError means that nothing was posted.
        """

    async def deployment(self, deployment_id: str) -> Deployment | None:
        """Return a deployment in whatever state, None when the market does not know it."""

    async def open_deployments(self) -> Sequence[Deployment]:
        """Return every open deployment of the account; leases may be left out."""

    async def bids(self, deployment_id: str) -> Sequence[Bid]:
        """Return the bids of a deployment's newest order."""

    async def accept(self, bid: Bid, order: Order) -> None:
        """Create the lease for a bid, and hand the manifest over where the market does both."""

    async def close(self, deployment_id: str) -> None:
        """Close a deployment and its leases; closing a closed one does nothing."""

    async def deposit(self, deployment_id: str, amount: MicroUSD) -> None:
        """Add to a deployment's escrow."""

    async def balance(self) -> Balance: ...

    async def providers(self) -> Sequence[ProviderFact]: ...

    def endpoints(self) -> Sequence[EndpointFact]:
        """Return how the nodes that it is reached through fare; none where there are no nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mintage:
    """How much credit can be made of the account's other coins in one go.

    ``is_pending``: an earlier mint is not decided yet. ``problem``: why none is possible, "" when one is.
    """

    least: MicroUSD
    most: MicroUSD
    is_pending: bool = False
    problem: str = ""


class Minter(Protocol):
    """Makes credit for rent out of other coins, where a market has two sorts of money."""

    async def mintage(self) -> Mintage: ...

    async def mint(self, amount: MicroUSD) -> None:
        """Ask for so much credit, or a little more. It comes later, or the coins come back.

        Raises UnknownOutcomeError when it may have been asked for; after any other error it was not,
        and will not be.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTarget:
    """Where a lease's container is managed: the provider's gateway.

    ``service`` is its name in the manifest, "" for the one that Garrison gives.
    """

    deployment: str
    gseq: int
    oseq: int
    provider: str
    host_uri: str
    service: str = ""


HTTP_PORT = 80
ALTERNATE_PORT = 8080


def exposed_as(port: int) -> int:
    """Return the number (the SDL's ``as``) that a container's port is exposed under.

    80 over TCP would become the provider's HTTP ingress; any other is a raw forwarded port.
    """
    return ALTERNATE_PORT if port == HTTP_PORT else port


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardedPort:
    """A raw TCP port of the container, reachable from outside at ``host:external_port``.

    ``port`` is the container's own, whatever it is exposed as: gateways tell that one (the provider's
    ``ForwardedPortStatus`` reads a NodePort's target port).
    """

    host: str
    port: int
    external_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """The provider's word on the container: running or not. Never taken for readiness.

    ``name`` is that of the service, "" for the one that Garrison gives. ``hosts`` are the names (and
    ports) at which the provider's HTTP proxy routes to it.
    """

    available: int
    ports: tuple[ForwardedPort, ...] = ()
    name: str = ""
    hosts: tuple[tuple[str, int], ...] = ()


class LeaseGateway(Protocol):
    """The provider's side of a lease. Its answers are untrusted input."""

    async def send_manifest(self, target: LeaseTarget, order: Order) -> None:
        """Hand the manifest over; repeating it is harmless. NotFoundError: not seen the lease yet."""

    async def status(self, target: LeaseTarget) -> ServiceStatus | None:
        """Return the service's status, None while the provider has no manifest."""

    async def manifest(self, target: LeaseTarget) -> str | None:
        """Return the manifest that the provider keeps, as JSON, None when it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An account's way to the market and to the providers' gateways."""

    market: Market
    gateway: LeaseGateway
    minter: Minter | None = None


class Exchanges(Protocol):
    """Opens accounts; the same account gives the same exchange until its spec or Secret changes."""

    async def of(self, account: Account) -> Exchange:
        """Raises AuthError when the Secret is missing, InvalidSpecError when it is unusable."""
