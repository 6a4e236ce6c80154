"""From the manifest that a provider keeps back to an SDL: only what one service of a group can say.

The provider's word is not proof. Whoever uses the result compiles it again and compares the hash with
the chain's; where the way back loses something (a disk's mount, a leased IP), the hashes differ.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, TypeAlias, cast

from garrison.adapters.akash.pricing import DENOM
from garrison.adapters.akash.sdl.model import (
    DECIMALS,
    Assignment,
    Compute,
    Credentials,
    Expose,
    Gpu,
    GpuModel,
    HttpOptions,
    Placement,
    Price,
    Sdl,
    Service,
    Target,
    Version,
    Volume,
)

Json: TypeAlias = dict[str, Any]

_GPU = re.compile(
    r"vendor/nvidia/model/([^/]+)(?:/ram/([1-9][0-9]{0,3})Gi)?(?:/interface/(pcie|sxm))?"
)


def sdl_of_manifest(text: str, price_per_block: int) -> Sdl | None:
    """Return an SDL with that manifest, None where it has not exactly one service, or makes no sense."""
    try:
        (group,) = json.loads(text)
        (service,) = group["services"]
        return _sdl(group["name"], service, price_per_block)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _sdl(place: str, raw: Json, price_per_block: int) -> Sdl:
    name = raw["name"]
    price = Price(denom=DENOM, amount=max(1, price_per_block) * 10**DECIMALS)
    return Sdl(
        version=Version.V2_0,
        services={name: _service(raw)},
        compute={name: _compute(raw["resources"])},
        placement={place: Placement(pricing={name: price})},
        deployment={name: {place: Assignment(profile=name, count=int(raw["count"]))}},
    )


def _service(raw: Json) -> Service:
    login = raw.get("credentials")
    return Service(
        image=raw["image"],
        command=_texts(raw["command"]),
        args=_texts(raw["args"]),
        env=_texts(raw["env"]),
        expose=tuple(_expose(each) for each in raw["expose"] or ()),
        credentials=None if login is None else Credentials(**login),
    )


def _texts(raw: list[str] | None) -> tuple[str, ...] | None:
    return None if raw is None else tuple(raw)


def _expose(raw: Json) -> Expose:
    http = raw["httpOptions"]
    return Expose(
        port=int(raw["port"]),
        external_port=int(raw["externalPort"]),
        protocol=cast("Literal['TCP', 'UDP']", raw["proto"]),
        accept=_texts(raw["hosts"]),
        to=(Target(service=raw["service"], everybody=raw["global"], ip=raw["ip"]),),
        http=HttpOptions(
            max_body_size=http["maxBodySize"],
            read_timeout=http["readTimeout"],
            send_timeout=http["sendTimeout"],
            next_tries=http["nextTries"],
            next_timeout=http["nextTimeout"],
            next_cases=tuple(http.get("nextCases") or ()),
            proxy_buffer_size=http.get("proxyBufferSize", 0),
        ),
    )


def _compute(raw: Json) -> Compute:
    arch = {each["key"]: each["value"] for each in raw["cpu"].get("attributes") or ()}.get("arch")
    return Compute(
        cpu=_value(raw["cpu"]["units"]),
        memory=_value(raw["memory"]["size"]),
        storage=tuple(_volume(each) for each in raw["storage"]),
        gpu=_gpu(raw["gpu"]),
        arch=arch,
    )


def _value(raw: Json) -> int:
    return int(raw["val"])


def _volume(raw: Json) -> Volume:
    attributes = {each["key"]: each.get("value", "") for each in raw.get("attributes") or ()}
    persistent = attributes.get("persistent")
    return Volume(
        size=_value(raw["size"]),
        name=raw["name"],
        persistent=None if persistent is None else persistent == "true",
        storage_class=attributes.get("class"),
    )


def _gpu(raw: Json) -> Gpu | None:
    units = _value(raw["units"])
    if units == 0:
        return None
    keys = [each["key"] for each in raw.get("attributes") or ()]
    if keys == ["vendor/nvidia/model/*"]:
        return Gpu(units=units)
    return Gpu(units=units, models=tuple(_model(each) for each in keys))


def _model(key: str) -> GpuModel:
    match = _GPU.fullmatch(key)
    if match is None:
        raise ValueError(f"{key} is no GPU of the market")
    return GpuModel(
        model=match[1],
        ram=int(match[2]) if match[2] else None,
        interface=cast("Literal['pcie', 'sxm'] | None", match[3]),
    )
