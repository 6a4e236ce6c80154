"""CustomResourceDefinitions generated from the dataclasses of this package.

The schema of a spec carries defaults and CEL rules; the schema of a status carries types and
bounds only, because a rule there could only keep the operator from writing what it knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from garrison.api import account, egress, lease, policy, provider, secret, workload
from garrison.api.meta import (
    ACCOUNT,
    EGRESS,
    GROUP,
    LEASE,
    POLICY,
    PROVIDER,
    ROTATING,
    VERSION,
    WORKLOAD,
    Kind,
)
from garrison.api.structure import Schema, Structure, validations


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A printer column; ``wide`` ones show with ``kubectl get -o wide`` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False

    def render(self) -> Schema:
        """Return it as ``additionalPrinterColumns`` wants it."""
        rendered: Schema = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return rendered | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What one CustomResourceDefinition is made from."""

    kind: Kind
    short: str
    description: str
    spec: TypeAdapter[Any]
    status: TypeAdapter[Any]
    columns: Sequence[Column]
    scale: bool = False
    root_rules: Sequence[tuple[str, str]] = ()


_AGE = Column(name="AGE", path=".metadata.creationTimestamp", type="date")


def _condition(kind: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        kind=WORKLOAD,
        short="iw",
        description="What to run, and how it is going.",
        spec=workload.SPEC_ADAPTER,
        status=workload.STATUS_ADAPTER,
        scale=True,
        root_rules=((f"self.metadata.name.matches(r'{workload.NAME}')", workload.NAME_REMEDY),),
        columns=(
            Column(name="READY", path=".status.ready"),
            Column(name="PRICE/H", path=".status.pricePerHour"),
            Column(name="URL", path=".status.url"),
            Column(name="STATUS", path=".status.phase"),
            _AGE,
            Column(name="PROVIDERS", path=".status.providers", wide=True),
            Column(name="MESSAGE", path=_condition("Ready", "message"), wide=True),
        ),
    ),
    Definition(
        kind=LEASE,
        short="al",
        description="One attempt to hold one replica; created by the operator.",
        spec=lease.SPEC_ADAPTER,
        status=lease.STATUS_ADAPTER,
        columns=(
            Column(name="WORKLOAD", path=".spec.workload"),
            Column(name="PHASE", path=".status.phase"),
            Column(name="PROVIDER", path=".status.provider"),
            Column(name="GPU", path=".status.gpuModel"),
            Column(name="PRICE/H", path=".status.pricePerHour"),
            Column(name="TOKENS/S", path=".status.benchmark.tokensPerSecond"),
            _AGE,
            Column(name="REGION", path=".status.region", wide=True),
            Column(name="DEPLOYMENT", path=".status.deployment.id", wide=True),
            Column(name="FAILURE", path=".status.failure.message", wide=True),
        ),
    ),
    Definition(
        kind=ACCOUNT,
        short="aa",
        description="Who pays, for whom, within which limits.",
        spec=account.SPEC_ADAPTER,
        status=account.STATUS_ADAPTER,
        columns=(
            Column(name="BALANCE", path=".status.balance"),
            Column(name="BURN/H", path=".status.burnPerHour"),
            Column(name="RUNWAY", path=".status.runwayHours", type="integer"),
            Column(name="LEASES", path=".status.openLeases", type="integer"),
            Column(name="READY", path=_condition("Ready", "status")),
            _AGE,
            Column(name="MESSAGE", path=_condition("Ready", "message"), wide=True),
        ),
    ),
    Definition(
        kind=PROVIDER,
        short="ap",
        description="What is known about a provider; created by the operator.",
        spec=provider.SPEC_ADAPTER,
        status=provider.STATUS_ADAPTER,
        columns=(
            Column(name="REGION", path=".status.region"),
            Column(name="GPUS", path=".status.gpuSummary"),
            Column(name="UPTIME", path=".status.uptime"),
            Column(name="SCORE", path=".status.score", type="integer"),
            Column(name="LEASES", path=".status.openLeases", type="integer"),
            Column(name="QUARANTINED", path=".status.quarantined"),
            Column(name="HOST", path=".status.host", wide=True),
        ),
    ),
    Definition(
        kind=POLICY,
        short="pp",
        description="Who may host.",
        spec=policy.SPEC_ADAPTER,
        status=policy.STATUS_ADAPTER,
        columns=(
            Column(name="KNOWN", path=".status.known", type="integer"),
            Column(name="MATCHING", path=".status.matching", type="integer"),
            _AGE,
        ),
    ),
    Definition(
        kind=ROTATING,
        short="rsec",
        description="A credential with a lifetime.",
        spec=secret.SPEC_ADAPTER,
        status=secret.STATUS_ADAPTER,
        columns=(
            Column(name="SOURCE", path=".spec.source.type"),
            Column(name="SCOPE", path=".spec.scope"),
            Column(name="VERSION", path=".status.version", type="integer"),
            Column(name="LIVE", path=".status.live", type="integer"),
            Column(name="REVOKED", path=".status.revoked", type="integer"),
            Column(name="NEXT", path=".status.nextRotationAt"),
            Column(name="READY", path=_condition("Ready", "status")),
            _AGE,
            Column(name="MESSAGE", path=_condition("Ready", "message"), wide=True),
        ),
    ),
    Definition(
        kind=EGRESS,
        short="egp",
        description="What a workload's containers may reach.",
        spec=egress.SPEC_ADAPTER,
        status=egress.STATUS_ADAPTER,
        columns=(
            Column(name="MODE", path=".spec.mode"),
            Column(name="WORKLOADS", path=".status.users"),
            Column(name="ENFORCED", path=".status.enforced"),
            Column(name="DENIED", path=".status.deniedTotal", type="integer"),
            _AGE,
        ),
    ),
)


def crds() -> list[Schema]:
    """Return the CustomResourceDefinitions (apiextensions.k8s.io/v1) of all kinds."""
    return [_crd(each) for each in DEFINITIONS]


def _crd(definition: Definition) -> Schema:
    kind = definition.kind
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [definition.short],
                "categories": ["garrison"],
            },
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(definition)],
        },
    }


def _version(definition: Definition) -> Schema:
    subresources: Schema = {"status": {}}
    if definition.scale:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": subresources,
        "additionalPrinterColumns": [each.render() for each in definition.columns],
        "schema": {"openAPIV3Schema": _root(definition)},
    }


def _root(definition: Definition) -> Schema:
    spec = spec_schema(definition)
    root: Schema = {
        "type": "object",
        "description": definition.description,
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status_schema(definition),
        },
    }
    if spec.get("required"):
        root["required"] = ["spec"]
    return root | validations(definition.root_rules)


def spec_schema(definition: Definition) -> Schema:
    """Return the structural schema of a kind's spec, with defaults and CEL rules."""
    return Structure.of(definition.spec, checked=True)


def status_schema(definition: Definition) -> Schema:
    """Return the structural schema of a kind's status: types and bounds, nothing else."""
    return Structure.of(definition.status, checked=False)
