"""InferenceWorkload: what to run, and how it is going."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter
from pydantic.dataclasses import dataclass

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
from garrison.api.quantity import PATTERN as QUANTITY

Quantity = Annotated[str, Field(pattern=QUANTITY, max_length=24)]
Text = Annotated[str, Field(max_length=4096)]

IMAGE = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?@sha256:[0-9a-f]{64}$"


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class EnvVar:
    """One environment variable. The provider can read it: no credentials here."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$", max_length=128)]
    value: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class GpuModel:
    """A GPU model, exact: nothing inferior is substituted."""

    vendor: Literal["nvidia"] = "nvidia"
    model: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", max_length=63)] = Field(
        description="The market's name of the model, such as h100, a100, rtx4090."
    )
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}Gi$", max_length=8)] | None = Field(
        default=None,
        description="GPU memory, such as 80Gi; providers that do not advertise it do not bid.",
    )
    interface: Literal["pcie", "sxm"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Gpu:
    """GPUs of one replica."""

    count: Annotated[int, Field(ge=1, le=24)] = 1
    models: Annotated[tuple[GpuModel, ...], Field(min_length=1, max_length=8)] = Field(
        description="Acceptable models in order of preference; the next is tried when no bid comes."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Resources:
    """What one replica rents."""

    cpu: Quantity = Field(description="CPU cores, such as 500m or 8.")
    memory: Quantity = Field(description="Memory, such as 32Gi.")
    storage: Quantity = Field(default="10Gi", description="Ephemeral disk, such as 100Gi.")
    gpu: Gpu | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Health:
    """How the served model is probed from outside."""

    path: Annotated[str, Field(pattern=r"^/[^\s]*$", max_length=512)] = "/health"
    period_seconds: Annotated[int, Field(ge=1, le=3600)] = 10
    timeout_seconds: Annotated[int, Field(ge=1, le=300)] = 15
    failure_threshold: Annotated[int, Field(ge=1, le=100)] = 3
    startup_grace_seconds: Annotated[int, Field(ge=1, le=86400)] = 1200


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Benchmark:
    """Thresholds that a replica must meet before it gets traffic."""

    api: Literal["OpenAI", "None"] = "None"
    model: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Model name to ask for; default: the first of /v1/models."
    )
    min_tokens_per_second: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_time_to_first_token_milliseconds: Annotated[int, Field(ge=1, le=600_000)] | None = None
    repeat_every_seconds: Annotated[int, Field(ge=60, le=2_592_000)] = 21_600


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Traffic:
    """How a replica leaves the traffic."""

    drain_seconds: Annotated[int, Field(ge=0, le=3600)] = 30


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Budget:
    """Spending limits of this workload."""

    max_price_per_hour: Price | None = Field(
        default=None, description="Highest price of one replica, US dollars per hour."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class WorkloadSpec:
    """Only image, port and resources are required; everything else has a safe default."""

    image: Annotated[str, Field(pattern=IMAGE, max_length=512)]
    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        description="Where the server listens inside the container."
    )
    resources: Resources
    account_ref: LocalRef | None = Field(
        default=None, description="Who pays; default: the AkashAccount with spec.default."
    )
    image_pull_secrets: Annotated[tuple[LocalRef, ...], Field(max_length=4)] = ()
    command: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    args: Annotated[tuple[Text, ...], Field(max_length=256)] = ()
    env: Annotated[tuple[EnvVar, ...], Field(max_length=128)] = ()
    replicas: Annotated[int, Field(ge=0, le=50)] = 1
    spread: Literal["Provider", "Region", "None"] = Field(
        default="Provider",
        description="What replicas should not share; a preference, never a reason to stay down.",
    )
    provider_policy_ref: LocalRef | None = None
    health: Health = Field(default_factory=Health)
    benchmark: Benchmark = Field(default_factory=Benchmark)
    traffic: Traffic = Field(default_factory=Traffic)
    budget: Budget = Field(default_factory=Budget)
    deletion_policy: Literal["Delete", "Orphan"] = Field(
        default="Delete",
        description="Orphan leaves the leases running, and paid, when the workload is deleted.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class ReplicaStatus:
    """One lease of the workload. Written before the AkashLease object is created: the intent."""

    name: Name
    uid: Annotated[str, Field(max_length=64)] | None = None
    revision: Annotated[str, Field(max_length=253)]
    phase: Annotated[str, Field(max_length=32)] = "Pending"
    provider: Annotated[str, Field(max_length=253)] | None = None
    region: Annotated[str, Field(max_length=128)] | None = None
    role: Literal["Active", "Standby"] = "Active"


Blame = Literal["Provider", "Revision", "Undecided", "Nobody"]


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class FailureStatus:
    """A replica that ended badly, and who is blamed for it."""

    lease: Annotated[str, Field(max_length=64, description="uid of the AkashLease")]
    revision: Annotated[str, Field(max_length=253)]
    provider: Annotated[str, Field(max_length=253)] | None = None
    gpu_model: Annotated[str, Field(max_length=63)] | None = None
    reason: Annotated[str, Field(max_length=64)]
    message: Message = ""
    blame: Blame = "Undecided"
    at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class WorkloadStatus:
    """A summary; what changes by itself lives in metrics."""

    observed_generation: int = 0
    phase: Annotated[str, Field(max_length=64)] = "Pending"
    ready: Annotated[str, Field(max_length=16, description="ready/desired, for people")] = "0/0"
    replicas: int = 0
    ready_replicas: int = 0
    selector: Annotated[str, Field(max_length=512)] = ""
    url: Annotated[str, Field(max_length=512)] | None = None
    image: Annotated[str, Field(max_length=512)] | None = None
    price_per_hour: Price | None = None
    providers: Annotated[str, Field(max_length=1024)] | None = None
    accepted_revision: Annotated[str, Field(max_length=253)] | None = None
    served_revision: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="The newest revision that had a Ready replica."
    )
    sequence: int = 0
    leases: Annotated[tuple[ReplicaStatus, ...], Field(max_length=128)] = ()
    failures: Annotated[tuple[FailureStatus, ...], Field(max_length=20)] = ()
    failures_since_ready: int = 0
    next_attempt_at: AwareDatetime | None = None
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Template:
    """The container fields: a change makes a new revision. Stored in a ControllerRevision."""

    image: str
    port: int
    resources: Resources
    image_pull_secrets: tuple[LocalRef, ...] = ()
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Workload:
    """An InferenceWorkload as decisions see it."""

    meta: Meta
    spec: WorkloadSpec
    status: WorkloadStatus


SPEC_ADAPTER: TypeAdapter[WorkloadSpec] = TypeAdapter(WorkloadSpec)
STATUS_ADAPTER: TypeAdapter[WorkloadStatus] = TypeAdapter(WorkloadStatus)
TEMPLATE_ADAPTER: TypeAdapter[Template] = TypeAdapter(Template)


def parse_workload(raw: Raw) -> Workload:
    """Return the typed workload. Raises InvalidSpecError that names the field and the remedy."""
    return Workload(
        meta=parse_meta(raw),
        spec=parse(SPEC_ADAPTER, raw.get("spec") or {}, "spec"),
        status=parse(STATUS_ADAPTER, raw.get("status") or {}, "status"),
    )


def template_of(spec: WorkloadSpec) -> Template:
    """Return the container fields of a spec: the part that makes a revision."""
    return Template(
        image=spec.image,
        port=spec.port,
        resources=spec.resources,
        image_pull_secrets=spec.image_pull_secrets,
        command=spec.command,
        args=spec.args,
        env=spec.env,
    )
