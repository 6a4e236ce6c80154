"""Whether a provider bids on a group, and at what price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from akash_sandbox.market.blocks import per_block
from akash_sandbox.market.provider import GpuStock, Provider

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a provider's open leases take already; ``gpus`` by model."""

    leases: int = 0
    cpu: int = 0
    memory: int = 0
    storage: int = 0
    gpus: tuple[tuple[str, int], ...] = ()

    def of(self, model: str) -> int:
        return sum(count for name, count in self.gpus if name == model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A bid's content: uact per block, and the GPU that would be assigned ("" without GPUs)."""

    price: int
    gpu_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """Why a provider stays silent; only the local market's own log tells it."""

    reason: str


def demand(group: Json) -> Use:
    """Return what one lease of this group takes; the GPU model is left open."""
    unit = group["resources"][0]["resource"]
    return Use(
        leases=1,
        cpu=int(unit["cpu"]["units"]["val"]),
        memory=int(unit["memory"]["quantity"]["val"]),
        storage=sum(int(volume["quantity"]["val"]) for volume in unit["storage"]),
    )


def consider(provider: Provider, group: Json, use: Use) -> Offer | Decline:
    """Return the provider's answer to an order for ``group`` while ``use`` is taken."""
    reason = _unsuitable(provider, group, use)
    if reason:
        return Decline(reason=reason)
    unit = group["resources"][0]
    wanted = int(unit["resource"]["gpu"]["units"]["val"])
    if wanted:
        return _with_gpu(provider, unit, wanted, use)
    busy = use.leases / provider.leases if provider.leases else 1
    price = provider.price_low + (provider.price_high - provider.price_low) * busy
    return _priced(price, unit, "")


def _unsuitable(provider: Provider, group: Json, use: Use) -> str:
    units = group["resources"]
    if len(units) != 1 or units[0]["count"] != 1:
        return "runs one service of count 1 only"
    if not _attributes_match(provider, group["requirements"]):
        return "attributes or auditors do not match"
    need = demand(group)
    for what, free in (
        ("leases", provider.leases - use.leases - need.leases),
        ("cpu", provider.cpu - use.cpu - need.cpu),
        ("memory", provider.memory - use.memory - need.memory),
        ("storage", provider.storage - use.storage - need.storage),
    ):
        if free < 0:
            return f"no {what} left"
    volumes = units[0]["resource"]["storage"]
    if any(_persistent(volume) for volume in volumes):
        return "has no persistent storage"
    return ""


def _persistent(volume: Json) -> bool:
    return {"key": "persistent", "value": "true"} in volume.get("attributes", ())


def _attributes_match(provider: Provider, requirements: Json) -> bool:
    signed = requirements["signed_by"]
    audited = set(provider.audited_by)
    if not set(signed["all_of"]) <= audited:
        return False
    if signed["any_of"] and not audited & set(signed["any_of"]):
        return False
    own = provider.all_attributes
    return all(_attribute_matches(a["key"], a["value"], own) for a in requirements["attributes"])


def _attribute_matches(pattern: str, value: str, own: dict[str, str]) -> bool:
    return any(fnmatchcase(key, pattern) and own[key] == value for key in own)


def _with_gpu(provider: Provider, unit: Json, wanted: int, use: Use) -> Offer | Decline:
    asked = [a["key"] for a in unit["resource"]["gpu"].get("attributes", ())]
    fitting = [gpu for gpu in provider.gpus if _gpu_matches(gpu, asked)]
    if not fitting:
        return Decline(reason=f"has none of {', '.join(asked)}")
    free = [gpu for gpu in fitting if gpu.count - use.of(gpu.model) >= wanted]
    if not free:
        return Decline(reason=f"no {fitting[0].model} left")
    gpu = min(free, key=lambda g: _gpu_price(g, use))
    return _priced(_gpu_price(gpu, use) * wanted, unit, gpu.key)


def _gpu_matches(gpu: GpuStock, asked: Iterable[str]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in asked for key in gpu.keys)


def _gpu_price(gpu: GpuStock, use: Use) -> float:
    return gpu.price_low + (gpu.price_high - gpu.price_low) * use.of(gpu.model) / gpu.count


def _priced(dollars_per_hour: float, unit: Json, gpu_key: str) -> Offer | Decline:
    price = per_block(round(dollars_per_hour * 1_000_000))
    ceiling = Decimal(unit["price"]["amount"]) * unit["count"]
    if price > ceiling:
        return Decline(
            reason=f"asks {price} uact per block, the order pays {ceiling.normalize():f}"
        )
    return Offer(price=price, gpu_key=gpu_key)
