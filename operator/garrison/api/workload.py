"""InferenceWorkload: what to run, and how it is going."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from garrison.api.container import IMAGE, EnvVar, Metrics, Resources, SecretUse, Template, Text
from garrison.api.form import Form, refusal
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
from garrison.errors import InvalidSpecError

Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""What the scale subresource can show."""

FILE_PATTERN = r"^(/(\*\*|\*|(\*?[^*/])+\*?))+$"
NAME = r"^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$"
NAME_REMEDY = (
    "metadata.name must be at most 50 lower-case letters, digits and -, start with a letter and "
    "end with a letter or digit: it names the Service, such as chat"
)
THRESHOLDS = (
    "a threshold needs benchmark.api: OpenAI, which measures it; set it or remove the threshold"
)
REPEATED_USE = "secrets names the same RotatingSecret twice; remove one"
REPEATED_ENV = "env sets {name} twice; remove one"
REPEATED_PULL = "imagePullSecrets names {name} twice; remove one"


def _refuse_repeats(remedy: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise refusal(remedy.format(name=name))


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Health:
    """How the served model is probed from outside."""

    path: Annotated[
        str,
        Field(max_length=512),
        Form(r"^/[!-~]*$", "must start with / and hold no spaces, such as /health"),
    ] = Field(default="/health", description="What is asked for by GET; 2xx means healthy.")
    period_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=10, description="Time between two probes."
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=300)] = Field(
        default=15, description="How long an answer may take."
    )
    failure_threshold: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3, description="Failed probes in a row that make a replica unhealthy."
    )
    startup_grace_seconds: Annotated[int, Field(ge=1, le=86400)] = Field(
        default=1200, description="How long a new replica may take to answer for the first time."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Benchmark:
    """Thresholds that a replica must meet before it gets traffic."""

    api: Literal["OpenAI", "None"] = Field(
        default="None", description="Which API is measured; thresholds need OpenAI."
    )
    model: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Model name to ask for; default: the first of /v1/models."
    )
    min_tokens_per_second: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Lowest accepted output tokens per second."
    )
    max_time_to_first_token_milliseconds: Annotated[int, Field(ge=1, le=600_000)] | None = Field(
        default=None, description="Longest accepted time to the first token."
    )
    repeat_every_seconds: Annotated[int, Field(ge=60, le=2_592_000)] = Field(
        default=21_600,
        description="Time between two benchmarks of a serving replica, or longer while clients use it.",
    )

    @model_validator(mode="after")
    def _is_measurable(self) -> Benchmark:
        thresholds = (self.min_tokens_per_second, self.max_time_to_first_token_milliseconds)
        if self.api == "None" and thresholds != (None, None):
            raise refusal(THRESHOLDS)
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Integrity:
    """What is hashed inside a replica, how often, and what a difference leads to."""

    paths: Annotated[
        tuple[
            Annotated[
                str,
                Field(max_length=256),
                Form(
                    FILE_PATTERN,
                    "must be an absolute path such as /app/**, where * and ? stand within a name and "
                    "** alone between slashes for any folders",
                ),
            ],
            ...,
        ],
        Field(max_length=32),
    ] = Field(
        default=(),
        description="Files that must stay as they are, such as /app/**; running programs, their "
        "libraries and the agent itself are always looked at.",
    )
    every_seconds: Annotated[int, Field(ge=60, le=86_400)] = Field(
        default=300, description="Longest time between two looks."
    )
    on_drift: Literal["Alert", "Replace"] = Field(
        default="Alert",
        description="Alert: condition, Event and metric; Replace: also another replica, at another "
        "provider. Before the workload starts a difference always ends the lease.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Traffic:
    """How a replica leaves the traffic."""

    drain_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=30, description="How long a leaving replica may finish its requests."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Budget:
    """Spending limits of this workload."""

    max_price_per_hour: Price | None = Field(
        default=None, description="Highest price of one replica, US dollars per hour."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Adopt:
    """A running deployment of the account that becomes the first replica, without a restart."""

    deployment: Annotated[
        str,
        Field(max_length=20),
        Form(
            r"^[1-9][0-9]{0,19}$", "must be a deployment's number, its dseq, such as 1763912345678"
        ),
    ] = Field(description="Its number (dseq). Read once; without effect when it has been adopted.")
    external_port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None,
        description="The `as` that its SDL gives the served port; default: spec.port.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class WorkloadSpec:
    """Only image, port and resources are required; everything else has a safe default."""

    image: Annotated[
        str,
        Field(max_length=512),
        Form(
            IMAGE,
            "must name registry, repository and digest, such as ghcr.io/acme/vllm@sha256:<64 hex "
            "digits>; `docker buildx imagetools inspect IMAGE:TAG` prints the digest",
        ),
    ] = Field(description="Image by digest, such as ghcr.io/acme/vllm@sha256:...")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        description="Where the server listens inside the container."
    )
    resources: Resources
    account_ref: LocalRef | None = Field(
        default=None, description="Who pays; default: the AkashAccount with spec.default."
    )
    image_pull_secrets: Annotated[tuple[LocalRef, ...], Field(max_length=4)] = Field(
        default=(),
        description="Secrets of type kubernetes.io/dockerconfigjson in the workload's namespace; the "
        "provider receives the login for the image's registry, and can read it.",
    )
    command: Annotated[tuple[Text, ...], Field(max_length=64)] = Field(
        default=(), description="As in a Pod; empty: the image's own."
    )
    args: Annotated[tuple[Text, ...], Field(max_length=256)] = Field(
        default=(), description="As in a Pod; empty: the image's own."
    )
    env: Annotated[tuple[EnvVar, ...], Field(max_length=128)] = Field(
        default=(), description="Environment variables; the provider can read them."
    )
    replicas: Annotated[int, Field(ge=0, le=50)] = Field(
        default=1, description="How many replicas to hold."
    )
    spread: Literal["Provider", "Region", "None"] = Field(
        default="Provider",
        description="What replicas should not share; a preference, never a reason to stay down.",
    )
    provider_policy_ref: LocalRef | None = Field(
        default=None,
        description="Who may host: a ProviderPolicy in the same namespace; default: anyone.",
    )
    secrets: Annotated[tuple[SecretUse, ...], Field(max_length=32)] = Field(
        default=(),
        description="Credentials that reach the process after the sealed start, and are rotated.",
    )
    egress_policy_ref: LocalRef | None = Field(
        default=None,
        description="What may be reached from inside: an EgressPolicy in the same namespace; "
        "default: nothing.",
    )
    trust: Literal["Verified", "Unverified"] = Field(
        default="Verified",
        description="Unverified runs the image without Garrison's agent: in the clear, unguarded.",
    )
    adopt: Adopt | None = Field(
        default=None,
        description="Takes over a running deployment, which has no agent: needs trust: Unverified. "
        "Default: every replica is ordered.",
    )
    health: Health = Field(default_factory=Health)
    benchmark: Benchmark = Field(default_factory=Benchmark)
    integrity: Integrity | None = Field(
        default=None,
        description="Compares what runs with the image; needs trust: Verified. Default: not done.",
    )
    metrics: Metrics | None = Field(
        default=None,
        description="Relays the workload's own metrics to the operator's /metrics as "
        "garrison_relayed_*; needs trust: Verified. Default: not relayed.",
    )
    traffic: Traffic = Field(default_factory=Traffic)
    budget: Budget = Field(default_factory=Budget)
    deletion_policy: Literal["Delete", "Orphan"] = Field(
        default="Delete",
        description="Orphan leaves the leases running, and paid, when the workload is deleted.",
    )

    @model_validator(mode="after")
    def _is_free_of_repeats(self) -> WorkloadSpec:
        _refuse_repeats(REPEATED_ENV, [each.name for each in self.env])
        _refuse_repeats(REPEATED_PULL, [each.name for each in self.image_pull_secrets])
        _refuse_repeats(REPEATED_USE, [each.rotating_secret_ref.name for each in self.secrets])
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class ReplicaStatus:
    """One lease of the workload. Written before the AkashLease object is created: the intent."""

    name: Name
    uid: Annotated[str, Field(max_length=64)] | None = None
    revision: Annotated[str, Field(max_length=253)]
    phase: Annotated[str, Field(max_length=32)] = "Pending"
    provider: Annotated[str, Field(max_length=253)] | None = None
    region: Annotated[str, Field(max_length=128)] | None = None
    adopts: Annotated[str, Field(max_length=20)] | None = Field(
        default=None, description="The running deployment that it takes over instead of ordering."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class ClientStatus:
    """The Secrets beside the workload that hold its clients' identities."""

    secret: Name = Field(description="Who can read it may send requests.")
    console: Name | None = Field(
        default=None, description="Who can read it may look inside: logs, shell, connectivity."
    )
    turn: int
    until: AwareDatetime


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
    replicas: Count = 0
    ready_replicas: Count = 0
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
    client: ClientStatus | None = None
    adopted: Annotated[str, Field(max_length=20)] | None = Field(
        default=None, description="The deployment that was adopted; from then on all are ordered."
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Workload:
    """An InferenceWorkload as decisions see it."""

    meta: Meta
    spec: WorkloadSpec
    status: WorkloadStatus


SPEC_ADAPTER: TypeAdapter[WorkloadSpec] = TypeAdapter(WorkloadSpec)
STATUS_ADAPTER: TypeAdapter[WorkloadStatus] = TypeAdapter(WorkloadStatus)


def parse_workload(raw: Raw) -> Workload:
    """Return the typed workload. Raises InvalidSpecError that names the field and the remedy."""
    meta = parse_meta(raw)
    if re.fullmatch(NAME, meta.name) is None:
        raise InvalidSpecError(NAME_REMEDY)
    return Workload(
        meta=meta,
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
        secrets=spec.secrets,
        trust=spec.trust,
        metrics=spec.metrics,
    )
