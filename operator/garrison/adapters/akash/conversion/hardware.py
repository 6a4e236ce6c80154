"""Converts what a replica rents: CPU, memory, disk, GPUs, and its price."""

from __future__ import annotations

import re
from collections.abc import Iterable

from garrison.adapters.akash.conversion.notes import Converted, Raw
from garrison.adapters.akash.pricing import BLOCKS_PER_HOUR, DENOM
from garrison.adapters.akash.sdl.model import (
    DECIMALS,
    RAM_CLASS,
    Compute,
    Gpu,
    GpuModel,
    Price,
    Volume,
)
from garrison.api.money import format_dollars

MOST_MODELS = 8
ANY_GPU = ("rtx4090", "a100", "h100")
"""What "any NVIDIA GPU" is turned into, to be edited."""
_MODEL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_UNITS = (
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("G", 10**9),
    ("Ki", 1 << 10),
    ("M", 10**6),
)
_MOST_PLAIN = 10**12


def resources(converted: Converted, here: str, compute: Compute) -> Raw:
    found: Raw = {"cpu": _cpu(compute.cpu), "memory": _bytes(compute.memory)}
    storage = _storage(converted, f"{here}.resources.storage", compute.storage)
    if storage is not None:
        found["storage"] = _bytes(storage.size)
    if compute.arch is not None:
        converted.note(f"{here}.resources.cpu", f"no counterpart for arch {compute.arch}")
    if compute.gpu is not None:
        found["gpu"] = _gpu(converted, f"{here}.resources.gpu", compute.gpu)
    return found


def _storage(converted: Converted, here: str, volumes: Iterable[Volume]) -> Volume | None:
    """Return the ephemeral disk; every other volume is noted."""
    kept: Volume | None = None
    for volume in volumes:
        if kept is None and not volume.persistent and volume.storage_class is None:
            kept = volume
            continue
        kind = "persistent" if volume.persistent else "further"
        kind = "memory-backed" if volume.storage_class == RAM_CLASS else kind
        converted.note(
            f"{here} ({volume.name})",
            f"no counterpart for the {kind} volume of {_bytes(volume.size)}: disk is ephemeral",
        )
    if kept is None:
        converted.note(here, "no ephemeral disk in the SDL; the default applies")
    return kept


def _gpu(converted: Converted, here: str, gpu: Gpu) -> Raw:
    models: list[Raw] = []
    for model in gpu.models:
        if not _MODEL.fullmatch(model.model.lower()) or (model.ram or 0) > 9999:
            if model.model != "*":
                converted.note(here, f"{model.model} is no model here; left out")
            continue
        entry = _model(model)
        if entry not in models:
            models.append(entry)
    if len(models) > MOST_MODELS:
        converted.note(here, f"only the first {MOST_MODELS} models are kept")
    if not models:
        models = [{"model": each} for each in ANY_GPU]
        converted.note(
            here, f"any GPU did; here each model is named, in order of preference: edit {ANY_GPU}"
        )
    return {"count": gpu.units, "models": models[:MOST_MODELS]}


def _model(model: GpuModel) -> Raw:
    entry: Raw = {"model": model.model.lower()}
    if model.ram:
        entry["memory"] = f"{model.ram}Gi"
    if model.interface is not None:
        entry["interface"] = model.interface
    return entry


def budget(converted: Converted, here: str, price: Price) -> str | None:
    """Return a price per block as dollars per hour, rounded down; None when it has no dollar value."""
    if price.denom != DENOM:
        converted.note(
            here, f"priced in {price.denom}, which has no fixed value in dollars; set budget"
        )
        return None
    amount = price.amount * BLOCKS_PER_HOUR // 10**DECIMALS
    if amount < BLOCKS_PER_HOUR:
        converted.note(here, "below one uact per block, the least that is offered; set budget")
        return None
    return format_dollars(amount)


def _cpu(millis: int) -> str:
    return f"{millis}m" if millis % 1000 else str(millis // 1000)


def _bytes(size: int) -> str:
    """Return a size as a quantity; one with more than 12 digits is rounded up to whole KiB."""
    for unit, factor in _UNITS:
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size) if size < _MOST_PLAIN else f"{-(-size // 1024)}Ki"
