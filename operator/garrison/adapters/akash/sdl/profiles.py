"""Reads compute and placement profiles, within the limits that the chain compiles in."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal, cast

from garrison.adapters.akash.sdl import quantity
from garrison.adapters.akash.sdl.fields import Field
from garrison.adapters.akash.sdl.model import (
    DECIMALS,
    DEFAULT_CLASS,
    DEFAULT_VOLUME,
    RAM_CLASS,
    Attributes,
    Compute,
    Gpu,
    GpuModel,
    Placement,
    Price,
    Volume,
)

MIB, TIB = 1 << 20, 1 << 40
CPU_MILLIS = (10, 384_000)
MEMORY = (MIB, 2 * TIB)
STORAGE = (5 * MIB, 32 * TIB)
MOST_GPUS = 24
MOST_PRICE = 10_000_000
MANY_VOLUMES = 4
CLASSES = ("default", "beta1", "beta2", "beta3", RAM_CLASS)
INTERFACES = ("pcie", "sxm")
_YES, _NO = ("true", "on", "yes"), ("false", "off", "no")
_KEY = re.compile(r"[a-zA-Z][\w/.\-]{1,126}[\w*]?", re.ASCII)
_DENOM = re.compile(r"[a-zA-Z][a-zA-Z0-9/:._-]{2,127}")


def compute(field: Field) -> Compute:
    """Return one compute profile; what is wrong is recorded."""
    resources = field.record("resources")["resources"]
    if resources.absent:
        resources.fail("missing; say cpu, memory and storage")
    record = resources.record("cpu", "memory", "storage", "gpu")
    cpu = record["cpu"].record("units", "attributes")
    arch = cpu["attributes"].strict_record("arch")["arch"]
    return Compute(
        cpu=_within(cpu["units"], _measured_cpu(cpu["units"]), CPU_MILLIS, "10m and 384 cores"),
        arch=arch.text() if arch.given else None,
        memory=_bytes(record["memory"].record("size")["size"], MEMORY, "1Mi and 2Ti"),
        storage=_storage(record["storage"]),
        gpu=_gpu(record["gpu"]),
    )


def placement(field: Field) -> Placement:
    """Return one placement profile; what is wrong is recorded."""
    record = field.record("attributes", "signedBy", "pricing")
    signed = record["signedBy"].record("allOf", "anyOf")
    return Placement(
        attributes=_placement_attributes(record["attributes"]),
        all_of=signed["allOf"].texts(),
        any_of=signed["anyOf"].texts(),
        pricing={name: _price(each) for name, each in record["pricing"].entries().items()},
    )


def _measured_cpu(field: Field) -> int | None:
    return field.measured(quantity.cpu_millis, None)


def _bytes(field: Field, limits: tuple[int, int], words: str) -> int:
    return _within(field, field.measured(quantity.size_bytes, None), limits, words)


def _within(field: Field, value: int | None, limits: tuple[int, int], words: str) -> int:
    if value is None:
        return limits[0]
    if not limits[0] <= value <= limits[1]:
        field.fail(f"must be between {words} for one replica")
    return value


def _storage(field: Field) -> tuple[Volume, ...]:
    if field.absent:
        field.fail("missing; name at least one volume, such as size: 1Gi")
        return ()
    if not field.is_list:
        # The reference gives a single volume this name, whatever it is called.
        return (replace(_volume(field), name=DEFAULT_VOLUME),)
    volumes = [_volume(item) for item in field.items() or ()]
    names = [volume.name for volume in volumes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        field.fail(f"two volumes are called {name!r}; give each a name of its own")
    if len(volumes) > MANY_VOLUMES:
        field.warn(f"more than {MANY_VOLUMES} volumes; most providers take none of such orders")
    if not volumes:
        field.fail("empty; name at least one volume, such as size: 1Gi")
    return tuple(volumes)


def _volume(field: Field) -> Volume:
    record = field.record("name", "size", "attributes")
    persistent, storage_class = _volume_attributes(record["attributes"])
    return Volume(
        name=record["name"].text() or DEFAULT_VOLUME,
        size=_bytes(record["size"], STORAGE, "5Mi and 32Ti"),
        persistent=persistent,
        storage_class=storage_class,
    )


def _volume_attributes(field: Field) -> tuple[bool | None, str | None]:
    """Return persistence and class; the reference makes an empty mapping mean not persistent."""
    if field.absent:
        return None, None
    record = field.strict_record("persistent", "class")
    written = _persistent(record["persistent"])
    storage_class = _class(record["class"], persistent=written)
    persistent = written in _YES
    if storage_class == RAM_CLASS and written not in {"", "false"}:
        record["persistent"].fail("memory is not persistent; remove this, or the class ram")
    elif storage_class not in {None, RAM_CLASS} and written in {"", "false"}:
        record["class"].fail("only persistent storage has a class; add persistent: true")
    if storage_class is None and written == "true":
        storage_class = DEFAULT_CLASS
    return persistent, storage_class


def _persistent(field: Field) -> str:
    written = field.text()
    if field.given and written not in _YES + _NO:
        field.fail("must be true or false")
    return written


def _class(field: Field, *, persistent: str) -> str | None:
    if field.given and not field.text() and persistent != "true":
        field.fail(f"empty; write one of {', '.join(CLASSES)}, or remove it")
    return field.one_of(CLASSES) or None


def _gpu(field: Field) -> Gpu | None:
    record = field.strict_record("units", "attributes")
    units = record["units"].measured(_gpu_units, 0) if not record["units"].absent else 0
    attributes = record["attributes"]
    if units and attributes.absent:
        attributes.fail("GPUs need attributes; for any of NVIDIA's write vendor: {nvidia: }")
    if not units and not attributes.absent:
        attributes.fail("attributes without GPUs; set units to 1 or more, or remove them")
    if attributes.absent:
        return None
    models = _vendor(attributes.strict_record("vendor")["vendor"])
    return Gpu(units=units, models=models) if units else None


def _gpu_units(text: str) -> int:
    return quantity.whole(text, MOST_GPUS)


def _vendor(field: Field) -> tuple[GpuModel, ...]:
    vendors = field.entries()
    for name, vendor in vendors.items():
        if name != "nvidia":
            vendor.fail("only GPUs of nvidia can be asked for; the reference takes any of those")
    if not vendors:
        field.fail("missing; name the vendor: nvidia, with a list of models or nothing for any")
    if "nvidia" not in vendors:
        return ()
    items = vendors["nvidia"].items() or []
    models = tuple(_gpu_model(item) for item in items)
    for item, model in zip(items, models, strict=True):
        if models.count(model) > 1:
            item.fail("this model stands here twice; remove one")
            break
        if not _KEY.fullmatch(gpu_key(model)):
            item.fail(f"{model.model!r} cannot be a model here; write one such as rtx4090")
    return models


def _gpu_model(field: Field) -> GpuModel:
    record = field.record("model", "ram", "interface")
    ram = _ram(record["ram"])
    interface = record["interface"].one_of(INTERFACES) or None
    if not record["interface"].absent and not record["interface"].text():
        record["interface"].fail("empty; write pcie or sxm, or remove it")
    name = record["model"].text()
    if not name:
        field.warn(
            "no model; write model: rtx4090, or leave the list out for any: no GPU is called so"
        )
    return GpuModel(
        model=name,
        ram=ram,
        interface=cast("Literal['pcie', 'sxm'] | None", interface),
    )


def _ram(field: Field) -> int | None:
    if field.absent:
        return None
    found = field.measured(quantity.gpu_ram, None)
    if found is not None and f"{found}Gi" != field.text():
        field.warn(f"it is asked for as {found}Gi; providers have whole gibibytes, such as 24Gi")
    return found


def gpu_key(model: GpuModel) -> str:
    """Return the resource attribute that a GPU model becomes on the market."""
    key = f"vendor/nvidia/model/{model.model}"
    if model.ram is not None:
        key += f"/ram/{model.ram}Gi"
    return key if model.interface is None else f"{key}/interface/{model.interface}"


def _placement_attributes(field: Field) -> Attributes:
    entries = field.entries()
    for key, entry in entries.items():
        if not _KEY.fullmatch(key):
            entry.fail(
                f"{key!r} is no attribute: letters, digits, _ . - and /, from 2 to 128 of them, "
                "starting with a letter"
            )
    return tuple(sorted((key, entry.text()) for key, entry in entries.items()))


def _price(field: Field) -> Price:
    record = field.record("denom", "amount")
    denom = record["denom"].required("write uact, which the chain takes")
    if denom and not _DENOM.fullmatch(denom):
        record["denom"].fail(f"{denom!r} is no denomination; write uact")
    amount = record["amount"].measured(quantity.price, None)
    most = MOST_PRICE * 10**DECIMALS
    if amount is not None and not 0 < amount <= most:
        record["amount"].fail(f"must be more than 0 and at most {MOST_PRICE} per block and replica")
    return Price(denom=denom, amount=amount if amount is not None else 1)
