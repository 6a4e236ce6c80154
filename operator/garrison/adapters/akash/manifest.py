"""The manifest of an order, byte for byte as the reference library makes it from the SDL.

The Console API returns a deployment's manifest once, when it is created, and never again. The
manifest holds neither prices nor placement requirements, the only parts that Console rewrites, so it
can be made again from the order after a restart, with the same hash.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from garrison.adapters.akash.sdl import SERVICE, environment, external_port, gpu_attribute
from garrison.ports.market import Order

# The reference encoder (Go's) escapes these characters inside strings.
_ESCAPES = str.maketrans(
    {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
    }
)
_HTTP_OPTIONS = {
    "maxBodySize": 1_048_576,
    "readTimeout": 60_000,
    "sendTimeout": 60_000,
    "nextTries": 3,
    "nextTimeout": 0,
    "nextCases": ["error", "timeout"],
}


def manifest_text(order: Order) -> str:
    """Return the order's manifest as canonical JSON: sorted keys, no whitespace."""
    text = json.dumps(manifest_of(order), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.translate(_ESCAPES)


def manifest_hash(text: str) -> str:
    """Return the SHA-256 of a canonical manifest in hex: what the chain keeps."""
    return hashlib.sha256(text.encode()).hexdigest()


def manifest_of(order: Order) -> list[dict[str, Any]]:
    """Return the order's manifest: one group, one service (schema v2beta3)."""
    service = {
        "name": SERVICE,
        "image": order.image,
        "command": list(order.command) or None,
        "args": list(order.args) or None,
        "env": environment(order) or None,
        "resources": _resources(order),
        "count": 1,
        "expose": [_expose(port) for port in sorted(order.ports)],
        "credentials": None,
    }
    return [{"name": order.marker, "services": [service]}]


def _resources(order: Order) -> dict[str, Any]:
    return {
        "id": 1,
        "cpu": {"units": _value(order.cpu_millis)},
        "memory": {"size": _value(order.memory_bytes)},
        "storage": [{"name": "default", "size": _value(order.storage_bytes)}],
        "gpu": _gpu(order),
        "endpoints": [{"kind": 1, "sequence_number": 0}] * len(order.ports),
    }


def _gpu(order: Order) -> dict[str, Any]:
    if order.gpu is None:
        return {"units": _value(0)}
    attribute = {"key": gpu_attribute(order.gpu), "value": "true"}
    return {"units": _value(order.gpu.count), "attributes": [attribute]}


def _expose(port: int) -> dict[str, Any]:
    return {
        "port": port,
        "externalPort": external_port(port),
        "proto": "TCP",
        "service": "",
        "global": True,
        "hosts": None,
        "httpOptions": _HTTP_OPTIONS,
        "ip": "",
        "endpointSequenceNumber": 0,
    }


def _value(number: int) -> dict[str, str]:
    return {"val": str(number)}
