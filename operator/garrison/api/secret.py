"""RotatingSecret: a credential with a lifetime."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from garrison.api.form import Form, refusal
from garrison.api.meta import (
    SPEC,
    STATUS,
    Condition,
    Message,
    Meta,
    Name,
    Raw,
    parse_meta,
)
from garrison.api.parsing import parse

ONE_SOURCE = "source.type names which of generate, secretRef and webhook is set; set that one only"
SHARED_ONLY = (
    "scope: Lease needs a source that makes a credential for each lease; a secretRef is the same for "
    "all of them: set scope: Workload"
)

FIXED_SCOPE = (
    "scope cannot change: replicas hold what was made for the old one; create another RotatingSecret and "
    "refer to that"
)

Scope: TypeAlias = Literal["Lease", "Workload"]
SourceType: TypeAlias = Literal["Generate", "SecretRef", "Webhook"]
MadeUp: TypeAlias = Literal["Password", "APIKey", "Ed25519"]
State: TypeAlias = Literal["Minting", "Live", "Revoking"]


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Generate:
    """A credential that Garrison makes up."""

    kind: MadeUp = Field(
        default="Password",
        description="Password: letters and digits; APIKey: URL-safe; Ed25519: a private key, PEM.",
    )
    length: Annotated[int, Field(ge=16, le=256)] = Field(
        default=32, description="Characters of a Password or APIKey."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class KeyInSecret:
    """A key of a Secret in the same namespace."""

    name: Name = Field(description="Name of the Secret, in the same namespace.")
    key: Name = Field(default="key", description="Key inside the Secret.")


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Webhook:
    """A service that mints a credential and revokes it.

    What it is authenticated with, and by, is the administrator's: the Secret ``webhook-HOST`` beside the
    operator, so that nobody can have another Secret of that namespace sent somewhere.
    """

    url: Annotated[
        str,
        Field(max_length=2048),
        Form(r"^https://[!-~]+$", "must be an https URL whose host the administrator allows"),
    ] = Field(description="Where credentials are minted and revoked; https, hosts by allow-list.")


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Source:
    """Where a credential comes from. After a change the next version comes from there, at once."""

    type: SourceType = Field(default="Generate", description="Which of the following is used.")
    generate: Generate | None = Field(default=None, description="How to make one up.")
    secret_ref: KeyInSecret | None = Field(
        default=None, description="Which Secret holds it; a change there is a new version."
    )
    webhook: Webhook | None = Field(default=None, description="Who mints it.")

    @model_validator(mode="after")
    def _is_one(self) -> Source:
        wanted = {
            "Generate": (False, False),
            "SecretRef": (True, False),
            "Webhook": (False, True),
        }[self.type]
        found = (self.secret_ref is not None, self.webhook is not None)
        if found != wanted or (self.generate is not None and self.type != "Generate"):
            raise refusal(ONE_SOURCE)
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class Rotation:
    """When a new version replaces the old one."""

    every_seconds: Annotated[int, Field(ge=60, le=31_536_000)] = Field(
        default=86_400, description="Life of a version."
    )
    grace_seconds: Annotated[int, Field(ge=0, le=86_400)] = Field(
        default=300,
        description="How long the old version stays valid after every replica has the new one.",
    )
    jitter_percent: Annotated[int, Field(ge=0, le=50)] = Field(
        default=10,
        description="How much earlier a rotation may come, so that not all come at once.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class RotatingSecretSpec:
    """Where the credential comes from, whom it is for, how long it lives."""

    source: Source = Field(default_factory=Source)
    scope: Scope = Field(
        default="Lease",
        description="Lease: each replica has one of its own, revoked when its lease closes. "
        "Workload: all replicas of a workload share one.",
    )
    rotation: Rotation = Field(default_factory=Rotation)

    @model_validator(mode="after")
    def _fits(self) -> RotatingSecretSpec:
        if self.source.type == "SecretRef" and self.scope == "Lease":
            raise refusal(SHARED_ONLY)
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class CredentialSource:
    """The source that a credential was asked of: revoked there, whatever the spec says by then."""

    type: SourceType
    kind: MadeUp | None = None
    length: int | None = None
    name: Annotated[str, Field(max_length=253)] | None = None
    key: Annotated[str, Field(max_length=253)] | None = None
    url: Annotated[str, Field(max_length=2048)] | None = None

    @classmethod
    def of(cls, source: Source) -> CredentialSource:
        """Return the record of a source: the same for two sources that mean the same."""
        if source.webhook is not None:
            return cls(type=source.type, url=source.webhook.url)
        if source.secret_ref is not None:
            return cls(type=source.type, name=source.secret_ref.name, key=source.secret_ref.key)
        how = source.generate or Generate()
        return cls(type=source.type, kind=how.kind, length=how.length)

    def as_source(self) -> Source:
        """Return the source that this is the record of."""
        match self:
            case CredentialSource(url=str(url)):
                return Source(type=self.type, webhook=Webhook(url=url))
            case CredentialSource(name=str(name), key=str(key)):
                return Source(type=self.type, secret_ref=KeyInSecret(name=name, key=key))
            case CredentialSource(kind=str(kind), length=int(length)):
                return Source(type=self.type, generate=Generate(kind=kind, length=length))
            case _:
                return Source(type=self.type)


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class CredentialStatus:
    """One version of the credential for one holder. Written before it is minted, kept until revoked."""

    holder: Annotated[str, Field(max_length=64, description="uid of the lease or workload")]
    name: Annotated[str, Field(max_length=253, description="name of the lease or workload")]
    namespace: Annotated[str, Field(max_length=63)] = ""
    version: int
    source: CredentialSource
    state: State = "Minting"
    minted_at: AwareDatetime | None = None
    superseded_at: AwareDatetime | None = Field(
        default=None, description="When every replica had acknowledged a newer version."
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class RotatingSecretStatus:
    """What exists, and what was revoked."""

    observed_generation: int = 0
    version: int = 0
    digest: Annotated[str, Field(max_length=64)] = ""
    next_rotation_at: AwareDatetime | None = None
    last_handled_rotate_request: Annotated[str, Field(max_length=253)] = ""
    credentials: Annotated[tuple[CredentialStatus, ...], Field(max_length=200)] = ()
    live: int = 0
    revoked: int = Field(default=0, description="How many versions have been revoked so far.")
    last_error: Message = ""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=8)] = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class RotatingSecret:
    """A RotatingSecret as decisions see it."""

    meta: Meta
    spec: RotatingSecretSpec
    status: RotatingSecretStatus


SPEC_ADAPTER: TypeAdapter[RotatingSecretSpec] = TypeAdapter(RotatingSecretSpec)
STATUS_ADAPTER: TypeAdapter[RotatingSecretStatus] = TypeAdapter(RotatingSecretStatus)


def parse_rotating_secret(raw: Raw) -> RotatingSecret:
    """Return the typed secret. Raises InvalidSpecError."""
    return RotatingSecret(
        meta=parse_meta(raw),
        spec=parse(SPEC_ADAPTER, raw.get("spec") or {}, "spec"),
        status=parse(STATUS_ADAPTER, raw.get("status") or {}, "status"),
    )
