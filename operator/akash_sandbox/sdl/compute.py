"""Compute profiles: CPU, memory, storage and GPUs of one replica, within the chain's limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from akash_sandbox.sdl.errors import SdlError
from akash_sandbox.sdl.node import Node
from akash_sandbox.sdl.quantity import cpu_millis, size_bytes

_MIB = 1024**2
_TIB = 1024**4
_INTERFACES = ("pcie", "sxm")
_CLASSES = ("default", "beta1", "beta2", "beta3", "ram")

Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    name: str
    size: int
    attributes: Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """Resources of one replica: CPU in thousandths of a core, sizes in bytes."""

    cpu: int
    cpu_attributes: Attributes
    memory: int
    storage: tuple[Volume, ...]
    gpu: int
    gpu_attributes: Attributes


def parse_compute(node: Node) -> Compute:
    """Return one compute profile; raises SdlError."""
    resources = node.only(("resources",)).child("resources")
    resources.only(("cpu", "memory", "storage", "gpu"))
    cpu = resources.child("cpu").only(("units", "attributes"))
    memory = resources.child("memory").only(("size", "attributes"))
    gpu, gpu_attributes = _gpu(resources.child("gpu"))
    return Compute(
        cpu=_within(cpu_millis(cpu.get("units") or 0), 10, 384000, "CPU"),
        cpu_attributes=_pairs(cpu.child("attributes").only(("arch",))),
        memory=_within(size_bytes(memory.get("size") or 0), _MIB, 2 * _TIB, "memory"),
        storage=_volumes(resources),
        gpu=_within(gpu, 0, 24, "GPU"),
        gpu_attributes=gpu_attributes,
    )


def _within(value: int, least: int, most: int, what: str) -> int:
    if not least <= value <= most:
        # The reference library prints the upper limit on both sides.
        raise SdlError(f"error: invalid unit {what} ({most} > {value} > {most} fails)")
    return value


def _pairs(node: Node) -> Attributes:
    return tuple(sorted((key, _text(node.get(key))) for key in node))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _volumes(resources: Node) -> tuple[Volume, ...]:
    raw = resources.get("storage")
    listed = resources.nodes("storage") if isinstance(raw, list) else [resources.child("storage")]
    volumes = [_volume(node) for node in listed]
    names = [volume.name for volume in volumes]
    if len(set(names)) != len(names):
        raise SdlError(f"sdl: duplicate storage names in {resources.path}")
    return tuple(sorted(volumes, key=lambda volume: volume.size))


def _volume(node: Node) -> Volume:
    node.only(("name", "size", "attributes"))
    size = _within(size_bytes(node.get("size") or 0), 5 * _MIB, 32 * _TIB, "storage")
    attributes = _volume_attributes(node.child("attributes").only(("persistent", "class")))
    return Volume(name=node.text("name") or "default", size=size, attributes=attributes)


def _volume_attributes(node: Node) -> Attributes:
    found = dict(_pairs(node))
    kind = found.get("class")
    persistent = found.get("persistent", "false") == "true"
    if kind is not None and kind not in _CLASSES:
        raise SdlError(f"sdl: invalid storage class {kind}")
    if kind == "ram":
        if persistent:
            raise SdlError("sdl: storage class ram must not be persistent")
        return (("class", "ram"), ("persistent", "false"))
    if kind is not None and not persistent:
        raise SdlError("sdl: ephemeral storage should not set attribute class")
    return (("class", kind or "default"), ("persistent", "true")) if persistent else ()


def _gpu(node: Node) -> tuple[int, Attributes]:
    for key in node:
        if key not in ("units", "attributes"):
            raise SdlError(f"sdl: unsupported field ({key}) for GPU resource")
    units = node.integer("units")
    if units == 0:
        return 0, ()
    vendors = node.child("attributes").only(("vendor",)).child("vendor")
    if not list(vendors):
        raise SdlError("sdl: GPU attributes must be present if units > 0")
    for vendor in vendors:
        if vendor != "nvidia":
            raise SdlError(f"sdl: unsupported GPU vendor {vendor}; only nvidia is")
    models = vendors.nodes("nvidia")
    keys = [_gpu_key(model) for model in models] or ["vendor/nvidia/model/*"]
    return units, tuple((key, "true") for key in sorted(keys))


def _gpu_key(node: Node) -> str:
    node.only(("model", "ram", "interface"))
    key = f"vendor/nvidia/model/{node.text('model') or '*'}"
    if node.text("ram"):
        gib, rest = divmod(size_bytes(node.text("ram")), 1024**3)
        if rest or not gib:
            raise SdlError(f"sdl: invalid GPU ram {node.text('ram')}; write it like 24Gi")
        key += f"/ram/{gib}Gi"
    interface = node.text("interface")
    if interface:
        if interface not in _INTERFACES:
            raise SdlError(f'sdl: invalid GPU interface {interface}. expected "pcie|sxm"')
        key += f"/interface/{interface}"
    return key
