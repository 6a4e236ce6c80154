"""CustomResourceDefinitions generated from the dataclasses of this package.

The schema of a spec carries defaults and CEL rules; the schema of a status carries types and
bounds only, because a rule there could only keep the operator from writing what it knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pydantic import TypeAdapter

from garrison.api import account, container, egress, lease, policy, provider, secret, workload
from garrison.api.form import INT_OR_STRING, RULES
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

Schema: TypeAlias = dict[str, Any]

INT32 = 2**31 - 1
_KEPT = (
    "type",
    "description",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "format",
)
_KEYED_LISTS = {"Condition": "type", "EnvVar": "name", "LocalRef": "name"}
_IMMUTABLE = "the spec of an AkashLease cannot change: the operator makes a new lease instead"


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
            Column(name="ROLE", path=".spec.role"),
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

_OBJECT_RULES: Mapping[str, Sequence[tuple[str, str]]] = {
    "Gpu": (("self.models.all(a, self.models.exists_one(b, a == b))", container.REPEATED_MODEL),),
    "Benchmark": (
        (
            "self.api != 'None' || "
            "!(has(self.minTokensPerSecond) || has(self.maxTimeToFirstTokenMilliseconds))",
            workload.THRESHOLDS,
        ),
    ),
    "PolicySpec": (
        (
            "!has(self.include) || !has(self.exclude) || "
            "self.include.all(each, !(each in self.exclude))",
            policy.DISJOINT,
        ),
    ),
    "Backend": (
        (
            "has(self.console) == (self.type == 'Console') && "
            "has(self.chain) == (self.type == 'Chain')",
            account.ONE_BACKEND,
        ),
    ),
    "ChainBackend": (("has(self.mnemonicSecretRef) != has(self.keySecretRef)", account.ONE_KEY),),
    "Allow": (("has(self.host) != has(self.cidr)", egress.ONE_KIND),),
    "Source": (
        (
            # Rules are checked on the default, {}, before the defaults inside it are filled in.
            "has(self.secretRef) == (has(self.type) && self.type == 'SecretRef') && "
            "has(self.webhook) == (has(self.type) && self.type == 'Webhook') && "
            "(!has(self.generate) || !has(self.type) || self.type == 'Generate')",
            secret.ONE_SOURCE,
        ),
    ),
    "RotatingSecretSpec": (
        (
            "!has(self.source) || !has(self.source.secretRef) || "
            "(has(self.scope) && self.scope == 'Workload')",
            secret.SHARED_ONLY,
        ),
    ),
    "SecretUse": (
        ("has(self.env) != has(self.file)", container.ONE_WAY),
        (
            "!has(self.onRotate) || self.onRotate == 'Restart' || has(self.file)",
            container.NEEDS_FILE,
        ),
    ),
    "WorkloadSpec": (
        (
            "!has(self.secrets) || self.secrets.all(a, self.secrets.exists_one(b, "
            "a.rotatingSecretRef.name == b.rotatingSecretRef.name))",
            workload.REPEATED_USE,
        ),
    ),
    "LeaseSpec": (("self == oldSelf", _IMMUTABLE),),
}


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
    return root | _validations(definition.root_rules)


def spec_schema(definition: Definition) -> Schema:
    """Return the structural schema of a kind's spec, with defaults and CEL rules."""
    return _Structure.of(definition.spec, checked=True)


def status_schema(definition: Definition) -> Schema:
    """Return the structural schema of a kind's status: types and bounds, nothing else."""
    return _Structure.of(definition.status, checked=False)


def _validations(rules: Sequence[tuple[str, str]]) -> Schema:
    if not rules:
        return {}
    return {"x-kubernetes-validations": [{"rule": rule, "message": text} for rule, text in rules]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Structure:
    """Turns JSON schema with references into a structural schema without."""

    definitions: Mapping[str, Schema]
    checked: bool
    in_list: bool = False
    """No defaults there: the server would fill them in, and every `kubectl apply` take them out."""

    @classmethod
    def of(cls, adapter: TypeAdapter[Any], *, checked: bool) -> Schema:
        raw = adapter.json_schema(by_alias=True)
        return cls(definitions=raw.get("$defs", {}), checked=checked).convert(raw)

    def convert(self, raw: Schema) -> Schema:
        """Return the structural form of one node."""
        node = self._resolved(raw)
        if node.get(INT_OR_STRING) and self.checked:
            return self._int_or_string(node)
        result: Schema = {key: node[key] for key in _KEPT if key in node}
        match node.get("type"):
            case "object":
                result |= self._object(node)
            case "array":
                result |= self._array(node)
            case "integer":
                result["format"] = "int32" if node.get("maximum", INT32 + 1) <= INT32 else "int64"
            case _:
                pass
        return self._finished(result, node)

    def _resolved(self, raw: Schema) -> Schema:
        node = dict(raw)
        if "anyOf" in node:
            present = [each for each in node.pop("anyOf") if each.get("type") != "null"]
            if len(present) != 1:
                raise ValueError(f"a field of several types has no structural schema: {present}")
            node = {**present[0], **node}
        if "$ref" in node:
            name = node.pop("$ref").rpartition("/")[2]
            node = {**self.definitions[name], **node, "title": name}
        if "const" in node:
            node["enum"] = [node["const"]]
        if "description" in node:
            node["description"] = " ".join(node["description"].replace("``", "`").split())
        return node

    def _finished(self, result: Schema, node: Schema) -> Schema:
        if not self.checked:
            return result
        default = node.get("default")
        if default not in (None, "", []) and not self.in_list:
            result["default"] = default
        rules = [(each["rule"], each["message"]) for each in node.get(RULES, [])]
        if node.get("type") == "object":
            rules += _OBJECT_RULES.get(node.get("title", ""), ())
        return result | _validations(rules)

    def _int_or_string(self, node: Schema) -> Schema:
        result: Schema = {key: node[key] for key in ("description", "maxLength") if key in node}
        result |= {INT_OR_STRING: True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
        return self._finished(result, node)

    def _object(self, node: Schema) -> Schema:
        required = node.get("required", [])
        properties = {
            name: self._property(each, optional=name not in required)
            for name, each in node.get("properties", {}).items()
        }
        ordered = dict(sorted(properties.items(), key=lambda item: item[0] not in required))
        result: Schema = {"properties": ordered} if ordered else {}
        return result | ({"required": required} if required else {})

    def _property(self, raw: Schema, *, optional: bool) -> Schema:
        result = self.convert(raw)
        is_section = "$ref" in raw and result.get("type") == "object"
        is_defaulted = self.checked and optional and not self.in_list
        if is_section and is_defaulted and "required" not in result:
            result["default"] = {}
        return result

    def _array(self, node: Schema) -> Schema:
        name = node["items"].get("$ref", "").rpartition("/")[2]
        items = replace(self, in_list=True).convert(node["items"])
        result: Schema = {"items": items, "x-kubernetes-list-type": "atomic"}
        if name in _KEYED_LISTS:
            keys = [_KEYED_LISTS[name]]
            result |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
        return result
