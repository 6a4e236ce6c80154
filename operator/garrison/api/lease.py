"""AkashLease: one attempt to hold one replica; created by the operator, owned by the workload."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from garrison.api.egress import DeniedStatus
from garrison.api.form import Form
from garrison.api.meta import (
    SPEC,
    STATUS,
    Condition,
    LocalRef,
    Message,
    Meta,
    Name,
    Price,
    Raw,
    parse_meta,
)
from garrison.api.parsing import parse
from garrison.api.workload import Adopt, Blame

PHASES = (
    "Pending",
    "Ordering",
    "Bidding",
    "Leasing",
    "Deploying",
    "Enrolling",
    "Verifying",
    "Benchmarking",
    "Ready",
    "Draining",
    "Closing",
    "Closed",
    "Failed",
)
Phase: TypeAlias = Literal[
    "Pending",
    "Ordering",
    "Bidding",
    "Leasing",
    "Deploying",
    "Enrolling",
    "Verifying",
    "Benchmarking",
    "Ready",
    "Draining",
    "Closing",
    "Closed",
    "Failed",
]
Short = Annotated[str, Field(max_length=253)]


Digest = Annotated[
    str, Field(max_length=64), Form(r"^[0-9a-f]{64}$", "must be a SHA-256 in hexadecimal")
]


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class SentinelRef:
    """The agent that is injected, and the Secret that holds its bootstrap."""

    digest: Digest = Field(description="SHA-256 of the sentinel that is injected.")
    secret_ref: LocalRef = Field(
        description="Secret in the operator's namespace with the lease's bootstrap key."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class LeaseSpec:
    """Why this lease exists. The manifest is rendered from the revision, never stored."""

    workload: Name = Field(description="Name of the InferenceWorkload.")
    revision: Name = Field(description="Name of the ControllerRevision to run.")
    account: Name = Field(description="Name of the AkashAccount that pays.")
    excluded_providers: Annotated[tuple[Short, ...], Field(max_length=64)] = Field(
        default=(), description="Providers whose bids are not taken."
    )
    sentinel: SentinelRef | None = Field(
        default=None,
        description="The agent in the container; none where the workload has trust: Unverified.",
    )
    adopts: Adopt | None = Field(
        default=None, description="A running deployment to take over; default: one is ordered."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Intent:
    """A write to the market that is about to happen; recorded before it does.

    ``token`` names the pass that may perform it once; whoever does not hold it looks up instead.
    """

    action: Literal["CreateDeployment", "CreateLease", "Deposit"]
    token: Annotated[str, Field(max_length=64)]
    at: AwareDatetime
    marker: Annotated[str, Field(max_length=128)]
    deployment: Short | None = None
    provider: Short | None = None
    gseq: int | None = None
    oseq: int | None = None
    price_per_hour: Price | None = None
    amount: Price | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class DeploymentStatus:
    """The one deployment on the market that this lease may pay for."""

    id: Short
    marker: Annotated[str, Field(max_length=128)]
    ordered_at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class BidStatus:
    """A bid and why it lost; the chosen one says ``Chosen``."""

    provider: Short
    price_per_hour: Price
    verdict: Annotated[str, Field(max_length=256)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class AttemptStatus:
    """An earlier order of this lease that led to nothing."""

    gpu_model: Annotated[str, Field(max_length=63)] | None = None
    reason: Annotated[str, Field(max_length=64)]
    message: Message = ""
    at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class EndpointStatus:
    """Where the replica's server is reached from outside: a raw TCP forwarded port.

    ``ingress``: the provider's HTTP proxy instead, which routes by host name; adopted ones only.
    """

    host: Short
    port: Annotated[int, Field(ge=1, le=65535)]
    ingress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class TimingStatus:
    """When a phase was entered."""

    phase: Annotated[str, Field(max_length=32)]
    at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class BenchmarkStatus:
    """The figures of the newest benchmark. Times in milliseconds, medians over the requests.

    No requests: nothing was answered, and there are no figures.
    """

    passed: bool
    tokens_per_second: Annotated[str, Field(max_length=16)]
    time_to_first_token_milliseconds: int
    requests: int
    model: Annotated[str, Field(max_length=253)] = ""
    message: Message = ""
    at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class HealthStatus:
    """The newest transition of the probe from outside."""

    state: Literal["Unknown", "Healthy", "Unhealthy"] = "Unknown"
    message: Message = ""
    since: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class SentinelStatus:
    """The enrolled instance of the sentinel; ``key`` is the SHA-256 of its public key."""

    instance: Annotated[str, Field(max_length=64)]
    key: Annotated[str, Field(max_length=64)]
    certificate_until: AwareDatetime
    enrolled_at: AwareDatetime
    restarts: int = Field(default=0, description="How often another instance took its place.")
    entered: Annotated[tuple[Short, ...], Field(max_length=10)] = Field(
        default=(),
        description="Programs that were started from outside the container, beside the guard.",
    )
    resolvers: Annotated[tuple[Short, ...], Field(max_length=8)] | None = Field(
        default=None,
        description="What the first instance asks for names; one that asks others is not started.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class LeaseEgress:
    """What the replica may reach. ``version`` is wanted there, ``in_force`` was acknowledged."""

    policy: Annotated[str, Field(max_length=253)] | None = None
    generation: int = 0
    digest: Annotated[str, Field(max_length=64)]
    version: int
    in_force: int = 0
    in_force_generation: int = 0
    level: Annotated[str, Field(max_length=32)] = "Unknown"
    rung: Annotated[str, Field(max_length=64)] = ""
    mode: Annotated[str, Field(max_length=16)] = "Enforce"
    leaks: Annotated[tuple[Short, ...], Field(max_length=16)] = ()
    limits: Annotated[tuple[Short, ...], Field(max_length=16)] = Field(
        default=(), description="What the rung does otherwise than one may expect."
    )
    denied_total: int = 0
    denied: Annotated[tuple[DeniedStatus, ...], Field(max_length=50)] = ()
    counted_at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class SecretStatus:
    """A secret at the replica. ``version`` was acknowledged; ``wanted_since``: a newer one was not yet."""

    name: Annotated[str, Field(max_length=253)]
    version: int = 0
    wanted: int = 0
    wanted_since: AwareDatetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class BusyStatus:
    """A replica that worked though nobody asked it to. ``until`` is None while it lasts."""

    since: AwareDatetime
    until: AwareDatetime | None = None
    times: int = Field(default=1, description="How often it began so far.")
    message: Message = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class TopUpStatus:
    """The newest deposit into a running escrow; ``at`` is when it was intended.

    ``left_before`` is the escrow that it was decided on.
    """

    amount: Price
    left_before: Price
    at: AwareDatetime
    outcome: Literal["Intended", "Deposited", "Refused", "NotSeen"] = "Intended"
    message: Message = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class IntegrityStatus:
    """What the newest look inside was compared with, and its verdict; written when that changes.

    Without a TEE this holds against intruders, bad roll-outs and drift, never against the provider.
    """

    reference: Literal["Image", "FirstStart"] = Field(
        description="Image: the image's own layers; FirstStart: what the first look found."
    )
    reference_digest: Annotated[str, Field(max_length=80)] = Field(
        default="", description="Of the image; of the files at the first look."
    )
    reference_message: Annotated[str, Field(max_length=512)] = Field(
        default="", description="Why the image's layers are not the reference."
    )
    patterns: Annotated[str, Field(max_length=64)] = Field(
        default="", description="SHA-256 of the paths that were asked for."
    )
    state: Literal["Verified", "Drifted", "Unknown"] = "Unknown"
    stage: Literal["Sealed", "Running"] = Field(
        default="Sealed", description="Whether the workload ran at the newest look."
    )
    instance: Annotated[str, Field(max_length=64)] = Field(
        default="", description="The instance of the sentinel that was looked at."
    )
    checked_at: AwareDatetime | None = Field(
        default=None, description="When the verdict became what it is."
    )
    drifted: Annotated[tuple[Short, ...], Field(max_length=20)] = ()
    unexplained: Annotated[tuple[Short, ...], Field(max_length=10)] = Field(
        default=(), description="Programs and libraries that the reference does not know."
    )
    truncated: bool = Field(
        default=False, description="Whether something was too large, too much or not readable."
    )
    message: Message = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class LeaseEscrow:
    """What pays the rent. ``lasts_until``: when it is empty at this price, rewritten when it moves."""

    lasts_until: AwareDatetime | None = None
    top_up: TopUpStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class LeaseFailure:
    """Why this lease is given up, and who is to blame as far as one lease can tell."""

    reason: Annotated[str, Field(max_length=64)]
    message: Message = ""
    blame: Blame
    at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class LeaseStatus:
    """Everything a restart needs to go on; each write to the market is named here first."""

    observed_generation: int = 0
    phase: Annotated[str, Field(max_length=32)] = "Pending"
    attempt: int = Field(default=0, description="Number of orders given up so far.")
    model_index: int = Field(default=0, description="Which of the GPU models is being tried.")
    intent: Intent | None = None
    deployment: DeploymentStatus | None = None
    earlier: Annotated[tuple[AttemptStatus, ...], Field(max_length=8)] = ()
    bids: Annotated[tuple[BidStatus, ...], Field(max_length=20)] = ()
    provider: Short | None = None
    provider_host: Short | None = None
    region: Annotated[str, Field(max_length=128)] | None = None
    gpu_model: Annotated[str, Field(max_length=63)] | None = None
    price_per_hour: Price | None = None
    escrow: LeaseEscrow | None = None
    spent: Price | None = Field(
        default=None,
        description="Rent that was paid, once the deployment is closed, if it is told.",
    )
    gseq: int | None = None
    oseq: int | None = None
    service: Annotated[str, Field(max_length=63)] | None = Field(
        default=None,
        description="The service's name on the market, where Garrison did not give it.",
    )
    endpoint: EndpointStatus | None = None
    control: EndpointStatus | None = Field(
        default=None, description="Where the sentinel's control port is reached."
    )
    sentinel: SentinelStatus | None = None
    egress: LeaseEgress | None = None
    secrets: Annotated[tuple[SecretStatus, ...], Field(max_length=32)] = ()
    busy_while_idle: BusyStatus | None = None
    integrity: IntegrityStatus | None = None
    timings: Annotated[tuple[TimingStatus, ...], Field(max_length=24)] = ()
    benchmark: BenchmarkStatus | None = None
    health: HealthStatus | None = None
    failure: LeaseFailure | None = None
    drain_until: AwareDatetime | None = None
    reclaim_deadline: AwareDatetime | None = None
    close_reason: Annotated[str, Field(max_length=64)] | None = None
    closed_at: AwareDatetime | None = Field(
        default=None, description="When the market confirmed that nothing is paid any more."
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=8)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Lease:
    """An AkashLease as decisions see it."""

    meta: Meta
    spec: LeaseSpec
    status: LeaseStatus

    @property
    def account_ref(self) -> LocalRef:
        return LocalRef(name=self.spec.account)


SPEC_ADAPTER: TypeAdapter[LeaseSpec] = TypeAdapter(LeaseSpec)
STATUS_ADAPTER: TypeAdapter[LeaseStatus] = TypeAdapter(LeaseStatus)


def parse_lease(raw: Raw) -> Lease:
    """Return the typed lease. Raises InvalidSpecError."""
    return Lease(
        meta=parse_meta(raw),
        spec=parse(SPEC_ADAPTER, raw.get("spec") or {}, "spec"),
        status=parse(STATUS_ADAPTER, raw.get("status") or {}, "status"),
    )
