"""Bad input: what the schema itself says is wrong for every field, and one case for every rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from garrison.api.form import INT_OR_STRING
from garrison.api.meta import ACCOUNT, EGRESS, LEASE, POLICY, ROTATING, WORKLOAD, Kind
from garrison.api.schema import DEFINITIONS, spec_schema
from garrison.api.structure import Schema
from tests.unit.api.specs import IMAGE, definition_of, full_for

Path: TypeAlias = tuple[str | int, ...]


class _Missing:
    """The value of a field that is left out."""


MISSING = _Missing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A spec that is fine but for one field. ``says`` must be in the refusal, if not empty."""

    kind: Kind
    path: Path
    value: Any
    fault: str
    says: str = ""
    server_says: str | None = None
    named: Path | None = field(default=None)

    @property
    def spec(self) -> dict[str, Any]:
        """The spec with the bad value in place."""
        spec = full_for(self.kind.kind, self.path)
        target: Any = spec
        for step in self.path[:-1]:
            target = target[step]
        if self.value is MISSING:
            del target[self.path[-1]]
        else:
            target[self.path[-1]] = self.value
        return spec

    def named_for(self, *, server: bool) -> str:
        """The field as the refusal must name it."""
        text = "spec"
        for step in self.path if self.named is None else self.named:
            text += f"[{step}]" if server and isinstance(step, int) else f".{step}"
        return text

    def __str__(self) -> str:
        return f"{self.kind.kind}-{'.'.join(str(step) for step in self.path)}-{self.fault}"


def fields(schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema, bool]]:
    """Yield (path, schema, is required) of every field; lists by their first item."""
    required = schema.get("required", [])
    for name, each in schema.get("properties", {}).items():
        yield from _below((*path, name), each, required=name in required)


def _below(path: Path, schema: Schema, *, required: bool) -> Iterator[tuple[Path, Schema, bool]]:
    yield path, schema, required
    yield from fields(schema, path)
    if "items" in schema:
        yield from _below((*path, 0), schema["items"], required=False)


def derived() -> Iterator[Case]:
    """Yield every case that follows from a field's type and bounds."""
    for definition in DEFINITIONS:
        for path, schema, required in fields(spec_schema(definition)):
            faults = dict(_faults(schema))
            if "maxItems" in schema:
                full = _value(full_for(definition.kind.kind, path), path)
                faults["too-many"] = [full[0]] * (schema["maxItems"] + 1)
            if required:
                faults["missing"] = MISSING
            for fault, value in faults.items():
                yield Case(kind=definition.kind, path=path, value=value, fault=fault)


def _value(spec: Any, path: Path) -> Any:
    for step in path:
        spec = spec[step]
    return spec


def _faults(schema: Schema) -> Iterator[tuple[str, Any]]:
    if schema.get(INT_OR_STRING):
        yield "fraction", 1.5
        yield "negative", -1
        yield "wrong-type", ["1"]
        yield "too-long", "1" * (schema["maxLength"] + 1)
        return
    match schema["type"]:
        case "object":
            yield "wrong-type", "text"
        case "array":
            yield "wrong-type", {"first": "text"}
        case "boolean":
            yield "wrong-type", "perhaps"
        case "integer":
            yield "wrong-type", "many"
            yield "unit", "10s"
            yield "fraction", 1.5
            yield "too-small", schema["minimum"] - 1
            yield "too-large", schema["maximum"] + 1
            yield "absurd", 10**18
        case "string":
            yield from _text_faults(schema)
        case other:
            raise AssertionError(f"no bad input is known for type {other}: add it here")
    if schema.get("minItems", 0) > 0:
        yield "empty", []


def _text_faults(schema: Schema) -> Iterator[tuple[str, Any]]:
    yield "wrong-type", {"text": "text"}
    yield "a-number", 7
    if "enum" in schema:
        yield "unknown", "Nonsense"
        return
    yield "too-long", "a" * (schema["maxLength"] + 1)
    if schema.get("minLength", 0) > 0:
        yield "empty", ""


def _case(kind: Kind, path: str, value: Any, says: str, **more: Any) -> Case:
    steps = tuple(int(step) if step.isdigit() else step for step in path.split("."))
    fault = f"{value}"[:40].replace(" ", "-")
    return Case(kind=kind, path=steps, value=value, says=says, fault=fault, **more)


_DIGEST = "must name registry, repository and digest"
_CREDENTIAL = "looks like a credential, and the provider can read every environment variable"
_BYTES = "a number without a unit means bytes"
_PRICE = "must be US dollars with at most 7 digits before the point and 6 after"
_BACKEND = "must have the settings of its type"
_ONE_KEY = "must have either mnemonicSecretRef or keySecretRef"
_H100 = {"model": "h100"}

RULED: tuple[Case, ...] = (
    *(
        _case(WORKLOAD, "adopt.deployment", number, "must be a deployment's number, its dseq")
        for number in ("", "0", "chat", "17639x", "-1")
    ),
    _case(LEASE, "adopts.deployment", "0", "must be a deployment's number, its dseq"),
    *(
        _case(WORKLOAD, "image", image, _DIGEST)
        for image in (
            "",
            "nginx",
            "ghcr.io/acme/vllm:latest",
            "ghcr.io/acme/vllm@sha256:" + "a" * 63,
            IMAGE.upper(),
            f"{IMAGE}\n",
            f"https://{IMAGE}",
        )
    ),
    _case(WORKLOAD, "resources.cpu", "eight", "must be a quantity such as 500m, 8 or 32Gi"),
    _case(WORKLOAD, "resources.cpu", "1m", "must be from 10m to 384; write cores"),
    _case(WORKLOAD, "resources.cpu", 385, "must be from 10m to 384; write cores"),
    _case(WORKLOAD, "resources.cpu", "8Gi", "must be from 10m to 384; write cores"),
    _case(WORKLOAD, "resources.memory", 32, _BYTES),
    _case(WORKLOAD, "resources.memory", "500m", _BYTES),
    _case(WORKLOAD, "resources.memory", "32GB", "must be a quantity such as 500m, 8 or 32Gi"),
    _case(WORKLOAD, "resources.memory", "3Ti", "must be from 1Mi to 2Ti"),
    _case(WORKLOAD, "resources.storage", "100", _BYTES),
    _case(WORKLOAD, "resources.storage", "1Pi", "must be from 5Mi to 32Ti"),
    _case(WORKLOAD, "resources.storage", "-1Gi", "must be a quantity such as 500m, 8 or 32Gi"),
    _case(WORKLOAD, "resources.gpu.models.0.model", "H100", "must be the market's name"),
    _case(WORKLOAD, "resources.gpu.models.0.memory", "80GB", "must be whole gibibytes"),
    _case(
        WORKLOAD,
        "resources.gpu.models",
        [_H100, _H100],
        "models lists the same GPU model twice; remove one",
        named=("resources", "gpu"),
    ),
    _case(WORKLOAD, "env.0.name", "1ST", "must be letters, digits and _"),
    _case(WORKLOAD, "env.0.name", "LOG-LEVEL", "must be letters, digits and _"),
    *(
        _case(WORKLOAD, "env.0.name", name, _CREDENTIAL)
        for name in ("HF_TOKEN", "OPENAI_API_KEY", "DbPassword", "AWS_SECRET_ACCESS_KEY")
    ),
    _case(
        WORKLOAD,
        "env",
        [{"name": "A"}, {"name": "A"}],
        "env sets A twice; remove one",
        server_says="Duplicate value",
        named=(),
    ),
    _case(
        WORKLOAD,
        "imagePullSecrets",
        [{"name": "a"}, {"name": "a"}],
        "imagePullSecrets names a twice; remove one",
        server_says="Duplicate value",
        named=(),
    ),
    _case(WORKLOAD, "health.path", "health", "must start with / and hold no spaces"),
    _case(WORKLOAD, "health.path", "/a b", "must start with / and hold no spaces"),
    _case(
        WORKLOAD,
        "benchmark",
        {"minTokensPerSecond": 1},
        "a threshold needs benchmark.api: OpenAI, which measures it",
    ),
    *(
        _case(WORKLOAD, "integrity.paths.0", path, "must be an absolute path such as /app/**")
        for path in ("app/**", "/", "/app/", "/app/**.py", "/app//x", "")
    ),
    *(
        _case(WORKLOAD, "budget.maxPricePerHour", price, _PRICE)
        for price in ("", "free", "$2", "-1", "1e3", "2,50", "1.0000001", 10**7)
    ),
    _case(ACCOUNT, "limits.maxPricePerHour", "20 USD", _PRICE),
    _case(ACCOUNT, "backend.console.endpoint", "http://api", "must be an https URL"),
    _case(ACCOUNT, "backend.console.endpoint", "https://a b", "must be an https URL"),
    _case(ACCOUNT, "backend.type", "Chain", _BACKEND, named=("backend",)),
    _case(ACCOUNT, "backend", {"type": "Chain"}, _BACKEND),
    _case(ACCOUNT, "backend.chain", {}, _ONE_KEY),
    _case(
        ACCOUNT,
        "backend.chain",
        {"keySecretRef": {"name": "w"}, "mnemonicSecretRef": {"name": "w"}},
        _ONE_KEY,
    ),
    _case(ACCOUNT, "backend.chain.granter", "cosmos1abc", "must be an address"),
    _case(ACCOUNT, "backend.chain.endpoints.0", "ftp://node", "must be the URL of a node"),
    _case(ACCOUNT, "backend.chain.derivationPath", "44/118", "must be a path such as"),
    _case(POLICY, "attributes.0.key", "1st", "must start with a letter"),
    _case(POLICY, "attributes.0.key", "h\u00f6st", "must start with a letter"),
    _case(POLICY, "minUptime.percent", "101", "must be a percentage from 0 to 100"),
    _case(POLICY, "minUptime.percent", "99 %", "must be a percentage from 0 to 100"),
    _case(POLICY, "maxPricePerHour", "cheap", _PRICE),
    _case(
        POLICY,
        "exclude",
        ["akash1one"],
        "include and exclude name the same provider; remove it from one of the two",
        named=(),
    ),
    _case(LEASE, "sentinel.digest", "A" * 64, "must be a SHA-256 in hexadecimal"),
    *(
        _case(EGRESS, "allow.0.host", host, "must be a host name in lower case")
        for host in ("Hub.example", "https://hub.example", "*", "hub..example", "a*.example")
    ),
    *(
        _case(
            EGRESS,
            "allow.0",
            {"cidr": cidr},
            "must be a network such as 203.0.113.0/24",
            named=("allow", 0, "cidr"),
        )
        for cidr in ("203.0.113.0", "203.0.113.0/33", "hub.example", "::1/129")
    ),
    _case(
        WORKLOAD, "secrets.0.file", "../weights", "must be a plain file name such as weights.key"
    ),
    _case(WORKLOAD, "secrets.0.env", "HF-TOKEN", "must be letters, digits and _"),
    *(
        _case(WORKLOAD, "secrets.0", {"rotatingSecretRef": {"name": "hub"}, **seen}, says)
        for seen, says in (
            ({}, "set exactly one of the two"),
            ({"env": "A", "file": "a"}, "set exactly one of the two"),
            ({"env": "A", "onRotate": "Signal"}, "a variable changes only at start"),
            ({"env": "A", "onRotate": "None"}, "a variable changes only at start"),
        )
    ),
    _case(
        WORKLOAD,
        "secrets",
        [{"rotatingSecretRef": {"name": "hub"}, "file": each} for each in ("a", "b")],
        "secrets names the same RotatingSecret twice; remove one",
        named=(),
    ),
    *(
        _case(
            ROTATING, "source", source, "source.type names which of generate, secretRef and webhook"
        )
        for source in (
            {"type": "Webhook"},
            {"type": "SecretRef", "webhook": {"url": "https://mint.example"}},
            {"type": "Generate", "secretRef": {"name": "given"}},
        )
    ),
    _case(ROTATING, "source.webhook.url", "http://mint.example", "must be an https URL"),
    _case(
        ROTATING,
        "source",
        {"type": "SecretRef", "secretRef": {"name": "given"}},
        "scope: Lease needs a source that makes a credential for each lease",
        named=(),
    ),
    *(
        _case(EGRESS, "allow.0", rule, "a rule names either host or cidr")
        for rule in ({}, {"host": "a.example", "cidr": "203.0.113.0/24"})
    ),
)

NAMES = ("1chat", "chat-", "chat.prod", "c" * 51)
"""Names that an InferenceWorkload must not have."""

ACCEPTED: tuple[Case, ...] = (
    _case(WORKLOAD, "resources.cpu", 8, ""),
    _case(WORKLOAD, "resources.memory", 2**30, ""),
    _case(WORKLOAD, "resources.gpu.models", [_H100, {"model": "a100"}], ""),
    _case(WORKLOAD, "budget.maxPricePerHour", 2, ""),
    _case(WORKLOAD, "env.0.name", "MAX_TOKENS", ""),
    _case(WORKLOAD, "env.0.name", "TOKEN_LIMIT", ""),
    _case(WORKLOAD, "image", "127.0.0.1:5000/smollm2:v1@sha256:" + "0" * 64, ""),
    _case(WORKLOAD, "benchmark", {}, ""),
    _case(WORKLOAD, "integrity", {}, ""),
    *(
        _case(WORKLOAD, "integrity.paths.0", path, "")
        for path in ("/usr/bin/python3*", "/**/*.so", "/a b/[x]", "/*")
    ),
    _case(WORKLOAD, "replicas", 0, ""),
    _case(ACCOUNT, "limits.maxPricePerHour", 0, ""),
    _case(ACCOUNT, "treasury", {"minRunwayHours": 0, "warningHours": 0}, ""),
    _case(POLICY, "minUptime.percent", 100, ""),
    _case(POLICY, "exclude", [], ""),
    _case(LEASE, "excludedProviders", [], ""),
    _case(EGRESS, "allow.0", {"cidr": "203.0.113.7/24"}, ""),
    _case(EGRESS, "allow.0", {"cidr": "2001:db8::/32", "ports": [53]}, ""),
)


def rules_of(kind: Kind) -> set[str]:
    """The messages of all rules in a kind's spec."""
    found: set[str] = set()
    _collect(spec_schema(definition_of(kind.kind)), found)
    return found


def _collect(schema: Schema, found: set[str]) -> None:
    found.update(each["message"] for each in schema.get("x-kubernetes-validations", []))
    for each in (*schema.get("properties", {}).values(), schema.get("items", {})):
        if each:
            _collect(each, found)
