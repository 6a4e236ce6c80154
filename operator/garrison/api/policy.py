"""ProviderPolicy: who may host."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from garrison.api.meta import SPEC, STATUS, Condition, Meta, Name, Price, Raw, parse_meta
from garrison.api.parsing import parse

Short = Annotated[str, Field(min_length=1, max_length=253)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class AttributeRequirement:
    """An attribute that a provider must have, with exactly this value."""

    key: Annotated[str, Field(pattern=r"^[a-zA-Z][\w/.\-]{0,126}$", max_length=127)]
    value: Annotated[str, Field(min_length=1, max_length=256)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class MinUptime:
    """Lowest measured uptime."""

    window: Literal["1d", "7d", "30d"] = "7d"
    percent: Annotated[str, Field(pattern=r"^(100(\.0{1,1})?|[0-9]{1,2}(\.[0-9])?)$", max_length=5)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class PolicySpec:
    """Every clause that is set must hold."""

    regions: Annotated[tuple[Short, ...], Field(max_length=64)] = ()
    attributes: Annotated[tuple[AttributeRequirement, ...], Field(max_length=32)] = ()
    audited_by: Annotated[tuple[Short, ...], Field(max_length=8)] = Field(
        default=(), description="Any of these auditors must have signed the attributes."
    )
    min_uptime: MinUptime | None = None
    include: Annotated[tuple[Name, ...], Field(max_length=256)] = Field(
        default=(), description="Only these providers, when not empty."
    )
    exclude: Annotated[tuple[Name, ...], Field(max_length=256)] = ()
    max_price_per_hour: Price | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class ExclusionStatus:
    """How many known providers one clause excludes, with examples."""

    clause: Annotated[str, Field(max_length=64)]
    providers: int
    examples: Annotated[tuple[Short, ...], Field(max_length=5)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class PolicyStatus:
    """So that "no bids" always has a reason."""

    observed_generation: int = 0
    known: int = 0
    matching: int = 0
    excluded: Annotated[tuple[ExclusionStatus, ...], Field(max_length=16)] = ()
    conditions: Annotated[tuple[Condition, ...], Field(max_length=8)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Policy:
    """A ProviderPolicy as decisions see it."""

    meta: Meta
    spec: PolicySpec
    status: PolicyStatus


SPEC_ADAPTER: TypeAdapter[PolicySpec] = TypeAdapter(PolicySpec)
STATUS_ADAPTER: TypeAdapter[PolicyStatus] = TypeAdapter(PolicyStatus)


def parse_policy(raw: Raw) -> Policy:
    """Return the typed policy. Raises InvalidSpecError."""
    return Policy(
        meta=parse_meta(raw),
        spec=parse(SPEC_ADAPTER, raw.get("spec") or {}, "spec"),
        status=parse(STATUS_ADAPTER, raw.get("status") or {}, "status"),
    )
