"""Typed resources for tests: sensible defaults, and only what a case is about is spelled out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from garrison.api.account import (
    Account,
    AccountSpec,
    AccountStatus,
    Backend,
    ConsoleBackend,
    Limits,
)
from garrison.api.container import Gpu, GpuModel, Resources, Template
from garrison.api.lease import Lease, LeaseSpec, LeaseStatus
from garrison.api.meta import FINALIZER, Meta, SecretKeyRef
from garrison.api.money import MicroUSD, parse_dollars
from garrison.api.policy import Policy, PolicySpec, PolicyStatus
from garrison.api.provider import GpuStatus, Provider, ProviderSpec, ProviderStatus
from garrison.api.workload import Workload, WorkloadSpec, WorkloadStatus, template_of
from garrison.core.lifecycle import Observation
from garrison.ports.market import (
    Bid,
    BidState,
    Deployment,
    DeploymentState,
    LeaseState,
    MarketLease,
    MarketTraits,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
IMAGE = "registry.example/acme/model@sha256:" + "a" * 64
INSTALLATION = "0123abcd"
LEASE_UID = "11111111-2222-3333-4444-555555555555"
HORIZON = timedelta(seconds=60)


def at(seconds: float) -> datetime:
    """A moment that many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def meta(name: str = "chat", **fields: Any) -> Meta:
    """Metadata of an object that holds its finalizer."""
    base = Meta(
        name=name,
        namespace="prod",
        uid=f"uid-{name}",
        generation=1,
        resource_version="1",
        created_at=NOW,
        deleting=False,
        finalizers=(FINALIZER,),
        labels={},
        annotations={},
        owners=(),
    )
    return replace(base, **fields)


def gpu(*models: str) -> Gpu:
    """One GPU of any of these models, in order of preference."""
    return Gpu(count=1, models=tuple(GpuModel(model=each) for each in models))


def spec(*models: str, **fields: Any) -> WorkloadSpec:
    """A workload's spec; CPU only without models."""
    resources = Resources(cpu="1", memory="1Gi", gpu=gpu(*models) if models else None)
    return replace(WorkloadSpec(image=IMAGE, port=8000, resources=resources), **fields)


def workload(*models: str, status: WorkloadStatus | None = None, **fields: Any) -> Workload:
    """A workload; ``fields`` are those of its spec."""
    return Workload(meta=meta(), spec=spec(*models, **fields), status=status or WorkloadStatus())


def template(*models: str) -> Template:
    """The container fields of ``spec``."""
    return template_of(spec(*models))


def lease(
    phase: str = "Pending", *, name: str = "chat-1", excluded: tuple[str, ...] = (), **fields: Any
) -> Lease:
    """A lease; ``fields`` are those of its status, ``deleting`` and ``uid`` of its metadata."""
    deleting = fields.pop("deleting", False)
    uid = fields.pop("uid", LEASE_UID)
    revision = fields.pop("revision", "chat-aaaa")
    return Lease(
        meta=meta(name, uid=uid, deleting=deleting, owners=("uid-chat",)),
        spec=LeaseSpec(
            workload="chat", revision=revision, account="treasury", excluded_providers=excluded
        ),
        status=LeaseStatus(phase=phase, **fields),
    )


def limits(price: str = "10", leases: int = 5, rate: int = 10) -> Limits:
    """Ceilings of an account."""
    return Limits(max_price_per_hour=price, max_leases=leases, max_new_leases_per10_minutes=rate)


def account(status: AccountStatus | None = None, **fields: Any) -> Account:
    """A Console account with generous limits; ``fields`` are those of its spec."""
    console = ConsoleBackend(api_key_secret_ref=SecretKeyRef(name="console"))
    base = AccountSpec(backend=Backend(console=console), limits=limits())
    return Account(
        meta=meta("treasury", namespace=""),
        spec=replace(base, **fields),
        status=status or AccountStatus(),
    )


def provider(name: str, *models: str, **fields: Any) -> Provider:
    """A provider that is online; ``fields`` are those of its status."""
    gpus = tuple(GpuStatus(vendor="nvidia", model=each) for each in models)
    return Provider(
        meta=meta(name, namespace="", annotations=fields.pop("annotations", {})),
        spec=ProviderSpec(),
        status=ProviderStatus(**{"gpus": gpus, "region": "eu-west", **fields}),
    )


def policy(**fields: Any) -> Policy:
    """A policy; ``fields`` are those of its spec."""
    return Policy(meta=meta("eu"), spec=PolicySpec(**fields), status=PolicyStatus())


def bid(name: str = "p1", price: str = "1.5", **fields: Any) -> Bid:
    """An open bid."""
    base = Bid(
        deployment="100",
        gseq=1,
        oseq=1,
        provider=name,
        price_per_hour=parse_dollars(price),
        state=BidState.OPEN,
    )
    return replace(base, **fields)


def market_lease(name: str = "p1", price: str = "1.5", **fields: Any) -> MarketLease:
    """An active lease as the market reports it."""
    base = MarketLease(
        provider=name,
        gseq=1,
        oseq=1,
        state=LeaseState.ACTIVE,
        price_per_hour=parse_dollars(price),
    )
    return replace(base, **fields)


def deployment(*leases: MarketLease, **fields: Any) -> Deployment:
    """An open deployment with this lease's marker."""
    marker = f"garrison-{INSTALLATION}-{LEASE_UID.replace('-', '')}-0"
    base = Deployment(id="100", marker=marker, state=DeploymentState.ACTIVE, leases=leases)
    return replace(base, **fields)


def observation(of: Lease, **fields: Any) -> Observation:
    """What a step sees: an account, a template and a market that names its deployments itself."""
    base = Observation(
        lease=of,
        now=NOW,
        installation=INSTALLATION,
        token="fresh",
        traits=MarketTraits(chooses_id=True, outcome_horizon=HORIZON),
        account=account(),
        template=template(),
        ceiling=MicroUSD(2_000_000),
        providers={"p1": provider("p1")},
    )
    return replace(base, **fields)
