"""AkashProvider: what is known about a provider. Created by the operator; cluster-scoped."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from garrison.api.meta import SPEC, STATUS, Condition, Meta, Raw, parse_meta
from garrison.api.parsing import parse

Short = Annotated[str, Field(max_length=253)]
Permille = Annotated[int, Field(ge=0, le=1000)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class ProviderSpec:
    """Empty: people steer with the annotation ``garrison.dev/quarantine: "true"``."""


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class AttributeStatus:
    """A property the provider declares; ``audited_by`` is empty when only it says so."""

    key: Annotated[str, Field(max_length=128)]
    value: Annotated[str, Field(max_length=256)]
    audited_by: Annotated[tuple[Short, ...], Field(max_length=8)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class GpuStatus:
    """A GPU model the provider advertises."""

    vendor: Annotated[str, Field(max_length=63)]
    model: Annotated[str, Field(max_length=63)]
    memory: Annotated[str, Field(max_length=16)] | None = None
    interface: Annotated[str, Field(max_length=16)] | None = None


Outcome = Literal["Open", "Served", "ProviderFault", "RevisionFault", "Undecided", "Nothing"]


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class ResultStatus:
    """How one lease went at this provider."""

    lease: Annotated[str, Field(max_length=64, description="uid of the AkashLease")]
    gpu_model: Annotated[str, Field(max_length=63)] = "none"
    outcome: Outcome
    reason: Annotated[str, Field(max_length=64)] = ""
    tokens_per_second: Annotated[str, Field(max_length=16)] | None = None
    at: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class QuarantineStatus:
    """A GPU model of this provider that gets no lease until a time."""

    gpu_model: Annotated[str, Field(max_length=63)]
    until: AwareDatetime
    reason: Annotated[str, Field(max_length=256)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class ProviderStatus:
    """The market's word and our own record; uptimes in thousandths."""

    host: Short | None = None
    region: Annotated[str, Field(max_length=128)] | None = None
    online: bool = True
    gpus: Annotated[tuple[GpuStatus, ...], Field(max_length=32)] = ()
    gpu_summary: Annotated[str, Field(max_length=256)] = ""
    attributes: Annotated[tuple[AttributeStatus, ...], Field(max_length=128)] = ()
    uptime1d: Permille | None = None
    uptime7d: Permille | None = None
    uptime30d: Permille | None = None
    uptime: Annotated[str, Field(max_length=8, description="7-day uptime for people")] = ""
    score: Annotated[int, Field(ge=0, le=100)] | None = None
    open_leases: int = 0
    results: Annotated[tuple[ResultStatus, ...], Field(max_length=100)] = ()
    quarantine: Annotated[tuple[QuarantineStatus, ...], Field(max_length=32)] = ()
    quarantined: Annotated[str, Field(max_length=64, description="for the column")] = ""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=8)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Provider:
    """An AkashProvider as decisions see it; its name is the provider's id on the market."""

    meta: Meta
    spec: ProviderSpec
    status: ProviderStatus


SPEC_ADAPTER: TypeAdapter[ProviderSpec] = TypeAdapter(ProviderSpec)
STATUS_ADAPTER: TypeAdapter[ProviderStatus] = TypeAdapter(ProviderStatus)


def parse_provider(raw: Raw) -> Provider:
    """Return the typed provider. Raises InvalidSpecError."""
    return Provider(
        meta=parse_meta(raw),
        spec=parse(SPEC_ADAPTER, raw.get("spec") or {}, "spec"),
        status=parse(STATUS_ADAPTER, raw.get("status") or {}, "status"),
    )
