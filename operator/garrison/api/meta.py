"""What every kind shares: names, keys, references, conditions, and the model configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass as plain_dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

from garrison.api.form import Form, IntOrText

GROUP = "garrison.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

FINALIZER = f"{GROUP}/lease"
"""Holds an object until everything it pays for is closed, verified by query."""

LABEL_WORKLOAD = f"{GROUP}/workload"
LABEL_REVISION = f"{GROUP}/revision"
LABEL_LEASE = f"{GROUP}/lease"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "garrison.dev"
ANNOTATION_PROCESS = f"{GROUP}/image-process"
"""On a ControllerRevision: what its image runs by itself, read when the revision was accepted."""
ANNOTATION_ROTATE = f"{GROUP}/rotate-requested-at"
"""On a RotatingSecret: a new text asks for a rotation at once."""
ANNOTATION_QUARANTINE = f"{GROUP}/quarantine"

SPEC = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")
"""Specs refuse unknown fields, as the API server prunes or refuses them."""

STATUS = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")
"""Statuses ignore unknown fields, so that an older operator reads a newer one's."""

Raw: TypeAlias = Mapping[str, Any]
"""A Kubernetes object as JSON."""

Name = Annotated[str, Field(min_length=1, max_length=253)]
Message = Annotated[str, Field(max_length=1024)]
Price = Annotated[
    str,
    Field(max_length=14),
    Form(
        r"^[0-9]{1,7}(\.[0-9]{1,6})?$",
        'must be US dollars with at most 7 digits before the point and 6 after, such as "1.25"',
    ),
    IntOrText(),
]
"""US dollars (per hour, where the field says so) as a decimal string."""


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind as the API server knows it. ``namespaced`` False: cluster-scoped."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def _own(kind: str, plural: str, *, namespaced: bool = True) -> Kind:
    return Kind(group=GROUP, version=VERSION, kind=kind, plural=plural, namespaced=namespaced)


WORKLOAD = _own("InferenceWorkload", "inferenceworkloads")
LEASE = _own("AkashLease", "akashleases")
ACCOUNT = _own("AkashAccount", "akashaccounts", namespaced=False)
PROVIDER = _own("AkashProvider", "akashproviders", namespaced=False)
POLICY = _own("ProviderPolicy", "providerpolicies")
EGRESS = _own("EgressPolicy", "egresspolicies")
ROTATING = _own("RotatingSecret", "rotatingsecrets")
REVISION = Kind(group="apps", version="v1", kind="ControllerRevision", plural="controllerrevisions")
SERVICE = Kind(group="", version="v1", kind="Service", plural="services")
SLICE = Kind(group="discovery.k8s.io", version="v1", kind="EndpointSlice", plural="endpointslices")
SECRET = Kind(group="", version="v1", kind="Secret", plural="secrets")
EVENT = Kind(group="events.k8s.io", version="v1", kind="Event", plural="events")

OWN_KINDS = (WORKLOAD, LEASE, ACCOUNT, PROVIDER, POLICY, EGRESS, ROTATING)


class Key(NamedTuple):
    """Names one object: ``kind`` is the CamelCase kind, ``namespace`` is "" for cluster-scoped.

    A tuple, for every look at the cache hashes one.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return (
            f"{self.kind}/{self.namespace}/{self.name}"
            if self.namespace
            else f"{self.kind}/{self.name}"
        )


def key_of(raw: Raw) -> Key:
    """Return the key of a raw object that carries its ``kind``."""
    meta = raw["metadata"]
    return Key(kind=raw["kind"], namespace=meta.get("namespace") or "", name=meta["name"])


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """The part of ``metadata`` that decisions look at."""

    name: str
    namespace: str
    uid: str
    generation: int
    resource_version: str
    created_at: datetime
    deleting: bool
    finalizers: tuple[str, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owners: tuple[str, ...]
    """uids of the owners"""


def parse_meta(raw: Raw) -> Meta:
    """Return ``metadata`` of a raw object as the API server wrote it."""
    meta = raw["metadata"]
    return Meta(
        name=meta["name"],
        namespace=meta.get("namespace") or "",
        uid=meta["uid"],
        generation=meta.get("generation", 1),
        resource_version=meta["resourceVersion"],
        created_at=datetime.fromisoformat(meta["creationTimestamp"]),
        deleting=bool(meta.get("deletionTimestamp")),
        finalizers=tuple(meta.get("finalizers") or ()),
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        owners=tuple(owner["uid"] for owner in meta.get("ownerReferences") or ()),
    )


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class LocalRef:
    """A reference to an object by name."""

    name: Name = Field(description="Name of the referenced object.")


@dataclass(frozen=True, slots=True, kw_only=True, config=SPEC)
class SecretKeyRef:
    """A key of a Secret in the operator's namespace."""

    name: Name = Field(description="Name of the Secret, in the operator's namespace.")
    key: Name = Field(default="key", description="Key inside the Secret.")


ConditionStatus = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True, kw_only=True, config=STATUS)
class Condition:
    """A condition as in the Kubernetes API conventions."""

    type: Annotated[str, Field(max_length=64)]
    status: ConditionStatus
    reason: Annotated[str, Field(max_length=64)]
    message: Message = ""
    observed_generation: int = 0
    last_transition_time: AwareDatetime


def set_condition(conditions: tuple[Condition, ...], new: Condition) -> tuple[Condition, ...]:
    """Return ``conditions`` with ``new`` in place of its type; an unchanged status keeps its time.

    When that changes nothing it is ``conditions`` itself.
    """
    old = condition(conditions, new.type)
    if old is None:
        return (*conditions, new)
    kept = keep_time(new, old)
    if kept is old:
        return conditions
    return tuple(kept if each.type == new.type else each for each in conditions)


def keep_time(new: Condition, old: Condition | None) -> Condition:
    """Return ``new``, with the time of ``old`` while its status stays; ``old`` where that is the same."""
    if old is None or old.status != new.status:
        return new
    return old if _said(new) == _said(old) else _at(new, old.last_transition_time)


def _said(condition: Condition) -> tuple[str, str, int]:
    return condition.reason, condition.message, condition.observed_generation


def _at(condition: Condition, at: datetime) -> Condition:
    return Condition(
        type=condition.type,
        status=condition.status,
        reason=condition.reason,
        message=condition.message,
        observed_generation=condition.observed_generation,
        last_transition_time=at,
    )


def condition(conditions: tuple[Condition, ...], type_: str) -> Condition | None:
    """Return the condition of that type, or None."""
    return next((each for each in conditions if each.type == type_), None)
