"""ProviderPolicy: who may host."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from garrison.api.form import Form, IntOrText, refusal
from garrison.api.meta import SPEC, STATUS, Condition, Meta, Name, Price, Raw, parse_meta
from garrison.api.parsing import parse

Short = Annotated[str, Field(min_length=1, max_length=253)]

DISJOINT = "include and exclude name the same provider; remove it from one of the two"


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class AttributeRequirement:
    """An attribute that a provider must have, with exactly this value."""

    key: Annotated[
        str,
        Field(max_length=127),
        Form(
            r"^[a-zA-Z][a-zA-Z0-9_/.-]{0,126}$",
            "must start with a letter and hold letters, digits, _, /, . and - only, such as host",
        ),
    ] = Field(description="Name of the attribute on the market.")
    value: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="The value it must have."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class MinUptime:
    """Lowest measured uptime."""

    window: Literal["1d", "7d", "30d"] = Field(
        default="7d", description="Over how many past days it was measured."
    )
    percent: Annotated[
        str,
        Field(max_length=5),
        Form(
            r"^(100(\.0)?|[0-9]{1,2}(\.[0-9])?)$",
            'must be a percentage from 0 to 100 with at most one decimal, such as "99.5"',
        ),
        IntOrText(),
    ] = Field(description='Lowest accepted percentage, such as "99.5".')


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class PolicySpec:
    """Every clause that is set must hold."""

    regions: Annotated[tuple[Short, ...], Field(max_length=64)] = Field(
        default=(), description="Any of these regions; empty: everywhere."
    )
    attributes: Annotated[tuple[AttributeRequirement, ...], Field(max_length=32)] = Field(
        default=(), description="All of these attributes."
    )
    audited_by: Annotated[tuple[Short, ...], Field(max_length=8)] = Field(
        default=(), description="Any of these auditors must have signed the attributes."
    )
    min_uptime: MinUptime | None = None
    include: Annotated[tuple[Name, ...], Field(max_length=256)] = Field(
        default=(), description="Only these providers, when not empty."
    )
    exclude: Annotated[tuple[Name, ...], Field(max_length=256)] = Field(
        default=(), description="Never these providers."
    )
    max_price_per_hour: Price | None = Field(
        default=None, description="Highest price of one replica, US dollars per hour."
    )

    @model_validator(mode="after")
    def _is_disjoint(self) -> PolicySpec:
        if set(self.include) & set(self.exclude):
            raise refusal(DISJOINT)
        return self


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
