"""From the SDL to what the chain keeps (groups) and what the provider runs (manifest)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from akash_sandbox.sdl.canonical import canonical_json, manifest_hash
from akash_sandbox.sdl.compute import Attributes, Compute
from akash_sandbox.sdl.document import Document, Unit, load
from akash_sandbox.sdl.expose import endpoints
from akash_sandbox.sdl.placement import Placement, Price

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """An SDL as the market handles it; ``manifest`` and ``groups`` are plain JSON values."""

    groups: list[Json]
    manifest: list[Json]
    reclamation: int | None

    @property
    def manifest_text(self) -> str:
        return canonical_json(self.manifest)

    @property
    def hash(self) -> bytes:
        return manifest_hash(self.manifest)


def compile_sdl(text: str) -> Compiled:
    """Return groups and manifest of an SDL; raises SdlError."""
    document = load(text)
    names = sorted({unit.placement for unit in document.units})
    groups, manifest = [], []
    for name in names:
        units = sorted(
            (unit for unit in document.units if unit.placement == name),
            key=lambda unit: unit.service,
        )
        ids = _resource_ids(document, units)
        groups.append(_group(document, name, units, ids))
        services = [_service(document, unit, ids[unit.service]) for unit in units]
        manifest.append({"name": name, "services": services})
    return Compiled(groups=groups, manifest=manifest, reclamation=document.reclamation)


def _resource_ids(document: Document, units: list[Unit]) -> dict[str, int]:
    """Return each service's resource id; SDL 2.1 shares one between services of a profile."""
    ids: dict[str, int] = {}
    shared: dict[str, int] = {}
    for unit in units:
        key = unit.service if document.version == "2.0" else unit.profile
        ids[unit.service] = shared.setdefault(key, len(shared) + 1)
    return ids


def _service(document: Document, unit: Unit, resource_id: int) -> Json:
    service = document.services[unit.service]
    resources = _resources(document.computes[unit.profile], resource_id, size="size")
    return {
        **service.manifest,
        "count": unit.count,
        "resources": {**resources, "endpoints": endpoints(service.exposed)},
    }


def _group(document: Document, name: str, units: list[Unit], ids: dict[str, int]) -> Json:
    placement = document.placements[name]
    by_id: dict[int, list[Unit]] = {}
    for unit in units:
        by_id.setdefault(ids[unit.service], []).append(unit)
    return {
        "name": name,
        "requirements": _requirements(placement),
        "resources": [
            _resource_unit(document, placement, resource_id, shared)
            for resource_id, shared in sorted(by_id.items())
        ],
    }


def _resource_unit(
    document: Document, placement: Placement, resource_id: int, units: list[Unit]
) -> Json:
    profile = units[0].profile
    exposed = [e for unit in units for e in endpoints(document.services[unit.service].exposed)]
    resources = _resources(document.computes[profile], resource_id, size="quantity")
    return {
        "resource": {**resources, "endpoints": exposed},
        "count": sum(unit.count for unit in units),
        "price": _coin(placement.prices[profile]),
    }


def _requirements(placement: Placement) -> Json:
    return {
        "signed_by": {"all_of": list(placement.all_of), "any_of": list(placement.any_of)},
        "attributes": _attributes(placement.attributes),
    }


def _coin(price: Price) -> Json:
    return {"denom": price.denom, "amount": f"{price.amount:.18f}"}


def _attributes(pairs: Iterable[tuple[str, str]]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in pairs]


def _with(value: Json, attributes: Attributes) -> Json:
    return {**value, "attributes": _attributes(attributes)} if attributes else value


def _resources(compute: Compute, resource_id: int, *, size: str) -> Json:
    """Return the resources; sizes are called ``size`` in manifests and ``quantity`` on chain."""
    return {
        "id": resource_id,
        "cpu": _with({"units": {"val": str(compute.cpu)}}, compute.cpu_attributes),
        "memory": {size: {"val": str(compute.memory)}},
        "storage": [
            _with({"name": volume.name, size: {"val": str(volume.size)}}, volume.attributes)
            for volume in compute.storage
        ],
        "gpu": _with({"units": {"val": str(compute.gpu)}}, compute.gpu_attributes),
    }
