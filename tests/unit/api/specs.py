"""One spec of every kind with every field set, and one with the required fields only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from garrison.api.meta import (
    ACCOUNT,
    API_VERSION,
    EGRESS,
    LEASE,
    POLICY,
    PROVIDER,
    ROTATING,
    WORKLOAD,
    Kind,
)
from garrison.api.schema import DEFINITIONS, Definition

IMAGE = "ghcr.io/acme/vllm@sha256:" + "a" * 64

FULL: Mapping[str, dict[str, Any]] = {
    WORKLOAD.kind: {
        "image": IMAGE,
        "port": 8000,
        "resources": {
            "cpu": "500m",
            "memory": "32Gi",
            "storage": "1.5Ti",
            "gpu": {
                "count": 2,
                "models": [
                    {"vendor": "nvidia", "model": "h100", "memory": "80Gi", "interface": "sxm"}
                ],
            },
        },
        "accountRef": {"name": "treasury"},
        "imagePullSecrets": [{"name": "ghcr"}],
        "command": ["serve"],
        "args": ["--model", "/models/llama"],
        "env": [{"name": "LOG_LEVEL", "value": "info"}],
        "replicas": 2,
        "spread": "Region",
        "providerPolicyRef": {"name": "reliable"},
        "egressPolicyRef": {"name": "hub"},
        "secrets": [
            {
                "rotatingSecretRef": {"name": "weights"},
                "file": "weights.key",
                "onRotate": "Signal",
            }
        ],
        "trust": "Verified",
        "adopt": {"deployment": "1763912345678", "externalPort": 9000},
        "health": {
            "path": "/ready",
            "periodSeconds": 5,
            "timeoutSeconds": 4,
            "failureThreshold": 2,
            "startupGraceSeconds": 60,
        },
        "benchmark": {
            "api": "OpenAI",
            "model": "llama",
            "minTokensPerSecond": 900,
            "maxTimeToFirstTokenMilliseconds": 800,
            "repeatEverySeconds": 3600,
        },
        "integrity": {"paths": ["/app/**"], "everySeconds": 60, "onDrift": "Replace"},
        "metrics": {"path": "/stats"},
        "traffic": {"drainSeconds": 0},
        "budget": {"maxPricePerHour": "6.50"},
        "deletionPolicy": "Orphan",
    },
    LEASE.kind: {
        "workload": "chat",
        "revision": "chat-6f9c1",
        "account": "treasury",
        "excludedProviders": ["akash1provider"],
        "sentinel": {"digest": "a" * 64, "secretRef": {"name": "bootstrap-1"}},
        "adopts": {"deployment": "1763912345678", "externalPort": 9000},
    },
    ACCOUNT.kind: {
        "default": True,
        "backend": {
            "type": "Console",
            "console": {
                "apiKeySecretRef": {"name": "console-key", "key": "api-key"},
                "endpoint": "https://127.0.0.1:8443/base",
                "caBundle": "-----BEGIN CERTIFICATE-----",
                "outcomeHorizonSeconds": 10,
            },
        },
        "limits": {
            "maxPricePerHour": "20",
            "maxLeases": 10,
            "maxNewLeasesPer10Minutes": 20,
        },
        "treasury": {"depositHours": 12, "minRunwayHours": 3, "warningHours": 48},
        "orphans": "Report",
        "allowedNamespaces": {"names": ["prod"]},
        "adoption": "Allow",
        "allowPrivateAddresses": True,
    },
    PROVIDER.kind: {},
    POLICY.kind: {
        "regions": ["eu-west"],
        "attributes": [{"key": "host", "value": "akash"}],
        "auditedBy": ["akash1auditor"],
        "minUptime": {"window": "30d", "percent": "99.5"},
        "include": ["akash1one"],
        "exclude": ["akash1two"],
        "maxPricePerHour": "5",
    },
    EGRESS.kind: {
        "mode": "Audit",
        "requireEnforced": False,
        "allow": [
            {"host": "*.hf.co", "ports": [443]},
        ],
    },
    ROTATING.kind: {
        "source": {"type": "Generate", "generate": {"kind": "APIKey", "length": 40}},
        "scope": "Lease",
        "rotation": {"everySeconds": 3600, "graceSeconds": 60, "jitterPercent": 5},
    },
}

MINIMAL: Mapping[str, dict[str, Any]] = {
    WORKLOAD.kind: {"image": IMAGE, "port": 80, "resources": {"cpu": "1", "memory": "1Gi"}},
    LEASE.kind: {"workload": "chat", "revision": "chat-6f9c1", "account": "treasury"},
    ACCOUNT.kind: {
        "backend": {"console": {"apiKeySecretRef": {"name": "console-key"}}},
        "limits": {"maxPricePerHour": "1", "maxLeases": 0, "maxNewLeasesPer10Minutes": 0},
    },
    PROVIDER.kind: {},
    POLICY.kind: {},
    EGRESS.kind: {},
    ROTATING.kind: {},
}


_CHAIN: Mapping[str, Any] = {
    "derivationPath": "m/44'/118'/0'/0/1",
    "network": "Sandbox",
    "endpoints": ["http://127.0.0.1:1317/rest"],
    "chainId": "local",
    "blockTime": "Nominal",
    "granter": "akash19rl4cm2hmr8afy4kldpxz3fka4jguq0a3mq6x0",
    "autoMint": True,
    "gatewayAuth": "Certificate",
    "caBundle": "-----BEGIN CERTIFICATE-----",
    "outcomeHorizonSeconds": 10,
}
_REFERENCE = {"name": "wallet", "key": "key"}


def full_for(kind: str, path: Sequence[str | int]) -> dict[str, Any]:
    """A spec of the kind that holds the field at ``path`` and everything that may stand beside it."""
    spec = deepcopy(FULL[kind])
    if tuple(path[:2]) == ("backend", "chain"):
        key = "keySecretRef" if "keySecretRef" in path else "mnemonicSecretRef"
        spec["backend"] = {"type": "Chain", "chain": deepcopy({**_CHAIN, key: _REFERENCE})}
    match tuple(path):
        case ("allow", 0, "cidr", *_):
            spec["allow"] = [{"cidr": "203.0.113.0/24", "ports": [8443]}]
        case ("secrets", 0, "env", *_):
            spec["secrets"] = [{"rotatingSecretRef": {"name": "hub"}, "env": "HF_TOKEN"}]
        case ("source", "secretRef", *_):
            spec["source"] = {"type": "SecretRef", "secretRef": {"name": "given", "key": "token"}}
            spec["scope"] = "Workload"
        case ("source", "webhook", *_):
            spec["source"] = {"type": "Webhook", "webhook": {"url": "https://mint.example/v1"}}
    return spec


def definition_of(kind: str) -> Definition:
    """The definition of a kind by its name."""
    return next(each for each in DEFINITIONS if each.kind.kind == kind)


def body(kind: Kind, spec: Mapping[str, Any], name: str = "chat") -> dict[str, Any]:
    """The object to send to the API server."""
    meta = {"name": name, **({"namespace": "default"} if kind.namespaced else {})}
    return {
        "apiVersion": API_VERSION,
        "kind": kind.kind,
        "metadata": meta,
        "spec": dict(spec),
    }
