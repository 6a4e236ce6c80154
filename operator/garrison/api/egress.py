"""EgressPolicy: what a workload's containers may reach."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from garrison.api.form import Form, Network, refusal
from garrison.api.meta import SPEC, STATUS, Condition, Meta, Name, Raw, parse_meta
from garrison.api.parsing import parse

HOST = r"^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
ONE_KIND = "a rule names either host or cidr, not both and not neither"

Level: TypeAlias = Literal["Enforced", "BestEffort", "DeclaredOnly", "Refused", "Unknown"]
Mode: TypeAlias = Literal["Enforce", "Audit"]
Port = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, Field(max_length=253)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Allow:
    """One destination, by name or by network."""

    host: (
        Annotated[
            str,
            Field(max_length=253),
            Form(
                HOST,
                "must be a host name in lower case such as huggingface.co, or *.hf.co for every "
                "name below it; an address belongs into cidr",
            ),
        ]
        | None
    ) = Field(default=None, description="Host name, or *.NAME for every name below NAME.")
    cidr: (
        Annotated[
            str,
            Field(max_length=49),
            Network("must be a network such as 203.0.113.0/24 or 2001:db8::/32"),
        ]
        | None
    ) = Field(default=None, description="Network, such as 203.0.113.0/24.")
    ports: Annotated[tuple[Port, ...], Field(min_length=1, max_length=32)] = Field(
        default=(443,), description="TCP ports; default: 443."
    )

    @model_validator(mode="after")
    def _names_one_thing(self) -> Allow:
        if (self.host is None) == (self.cidr is None):
            raise refusal(ONE_KIND)
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class EgressPolicySpec:
    """What may be reached. An empty list allows nothing."""

    mode: Mode = Field(
        default="Enforce",
        description="Audit lets everything through and records what Enforce would deny.",
    )
    require_enforced: bool = Field(
        default=True,
        description="Whether a provider whose machine cannot enforce the policy is left for another one.",
    )
    allow: Annotated[tuple[Allow, ...], Field(max_length=128)] = Field(
        default=(), description="Destinations that may be reached."
    )


DENY_ALL = EgressPolicySpec()
"""What a workload without a policy gets."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class DeniedStatus:
    """One destination that was asked for and is not on the list."""

    destination: Text
    port: int
    protocol: Annotated[str, Field(max_length=16)] = "tcp"
    process: Text = ""
    count: int
    last_seen: AwareDatetime
    mining: Annotated[str, Field(max_length=128)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class SuggestedAllow:
    """A rule for what was reached in Audit, as it can be taken over into ``allow``."""

    host: Text | None = None
    cidr: Annotated[str, Field(max_length=49)] | None = None
    ports: Annotated[tuple[int, ...], Field(max_length=32)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class ReplicaEgress:
    """What one replica enforces."""

    workload: Name
    lease: Name
    generation: int = Field(default=0, description="Generation of the policy in force there.")
    level: Annotated[str, Field(max_length=32)] = "Unknown"
    rung: Annotated[str, Field(max_length=64)] = ""
    denied: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class EgressPolicyStatus:
    """Who uses the policy, how far it is enforced, and what it denied."""

    observed_generation: int = 0
    workloads: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    users: Annotated[str, Field(max_length=1024, description="The same, for people.")] = ""
    replicas: Annotated[tuple[ReplicaEgress, ...], Field(max_length=100)] = ()
    enforced: Annotated[str, Field(max_length=16, description="enforcing/running, for people")] = (
        "0/0"
    )
    denied_total: int = 0
    denied: Annotated[tuple[DeniedStatus, ...], Field(max_length=50)] = ()
    suggested_allow: Annotated[tuple[SuggestedAllow, ...], Field(max_length=50)] = ()
    mining_total: int = 0
    conditions: Annotated[tuple[Condition, ...], Field(max_length=8)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class EgressPolicy:
    """An EgressPolicy as decisions see it."""

    meta: Meta
    spec: EgressPolicySpec
    status: EgressPolicyStatus


SPEC_ADAPTER: TypeAdapter[EgressPolicySpec] = TypeAdapter(EgressPolicySpec)
STATUS_ADAPTER: TypeAdapter[EgressPolicyStatus] = TypeAdapter(EgressPolicyStatus)


def parse_egress_policy(raw: Raw) -> EgressPolicy:
    """Return the typed policy. Raises InvalidSpecError."""
    return EgressPolicy(
        meta=parse_meta(raw),
        spec=parse(SPEC_ADAPTER, raw.get("spec") or {}, "spec"),
        status=parse(STATUS_ADAPTER, raw.get("status") or {}, "status"),
    )
