"""The SDL (version 2.0) of an order: one service, one placement group named by the marker.

Field names and limits: the stack definition language of Akash, ``sdl-input.schema.yaml``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import yaml

from garrison.adapters.akash.pricing import DENOM, per_block
from garrison.ports.market import GpuAsk, Order

Document: TypeAlias = dict[str, Any]

SERVICE = "replica"
HTTP_PORT = 80
ALTERNATE_PORT = 8080


class _Quoting(yaml.SafeDumper):
    """Writes every string in double quotes."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Quoting.add_representer(str, _quoted)


def sdl_of(order: Order) -> Document:
    """Return the order as an SDL document. Raises InvalidSpecError when its price is unusable."""
    return {
        "version": "2.0",
        "services": {SERVICE: _service(order)},
        "profiles": {
            "compute": {SERVICE: {"resources": _resources(order)}},
            "placement": {order.marker: _placement(order)},
        },
        "deployment": {SERVICE: {order.marker: {"profile": SERVICE, "count": 1}}},
    }


def sdl_text(order: Order) -> str:
    """Return the order's SDL as YAML with every string quoted.

    YAML's dialects disagree on what a plain ``1e3`` or ``no`` is; on quoted strings they agree.
    """
    return yaml.dump(sdl_of(order), Dumper=_Quoting, sort_keys=False, width=1 << 16)


def external_port(port: int) -> int:
    """Return the SDL's ``as`` for a container port.

    80 over TCP would become the provider's HTTP ingress; any other is a raw forwarded port.
    """
    return ALTERNATE_PORT if port == HTTP_PORT else port


def environment(order: Order) -> list[str]:
    """Return the environment as the SDL and the manifest write it."""
    return [f"{name}={value}" for name, value in order.env]


def gpu_attribute(gpu: GpuAsk) -> str:
    """Return the resource attribute that an SDL GPU model becomes on the market."""
    parts = ["vendor", gpu.vendor, "model", gpu.model]
    if gpu.memory is not None:
        parts += ["ram", gpu.memory]
    if gpu.interface is not None:
        parts += ["interface", gpu.interface]
    return "/".join(parts)


def _service(order: Order) -> Document:
    service: Document = {"image": order.image}
    if order.command:
        service["command"] = list(order.command)
    if order.args:
        service["args"] = list(order.args)
    if order.env:
        service["env"] = environment(order)
    service["expose"] = [
        {"port": port, "as": external_port(port), "proto": "tcp", "to": [{"global": True}]}
        for port in sorted(order.ports)
    ]
    return service


def _resources(order: Order) -> Document:
    resources: Document = {
        "cpu": {"units": f"{order.cpu_millis}m"},
        "memory": {"size": str(order.memory_bytes)},
        "storage": [{"size": str(order.storage_bytes)}],
    }
    if order.gpu is not None:
        resources["gpu"] = _gpu(order.gpu)
    return resources


def _gpu(gpu: GpuAsk) -> Document:
    model: Document = {"model": gpu.model}
    if gpu.memory is not None:
        model["ram"] = gpu.memory
    if gpu.interface is not None:
        model["interface"] = gpu.interface
    return {"units": gpu.count, "attributes": {"vendor": {gpu.vendor: [model]}}}


def _placement(order: Order) -> Document:
    placement: Document = {}
    if order.attributes:
        placement["attributes"] = dict(order.attributes)
    if order.audited_by:
        placement["signedBy"] = {"anyOf": list(order.audited_by)}
    amount = per_block(order.max_price_per_hour)
    placement["pricing"] = {SERVICE: {"denom": DENOM, "amount": amount}}
    return placement
