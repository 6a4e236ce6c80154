"""From an ``Sdl`` to what the chain keeps (groups) and what the provider runs (manifest).

The output is that of the reference library, its oddities included: the order of volumes, the numbers
of leased IPs, the ids of resource units. Where a group has more than twelve endpoints in one 2.1
unit, or a service more than twelve ports of which two are alike, the reference's order depends on its
sorting algorithm; here it is the order of the SDL. A document is not checked here; ``parse`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from garrison.adapters.akash.sdl.canonical import canonical_json, manifest_hash
from garrison.adapters.akash.sdl.model import (
    Attributes,
    Compute,
    Credentials,
    Expose,
    HttpOptions,
    Params,
    Placement,
    Sdl,
    Service,
    Target,
    Unit,
    Version,
    Volume,
)
from garrison.adapters.akash.sdl.profiles import gpu_key
from garrison.adapters.akash.sdl.quantity import decimal

Json: TypeAlias = dict[str, Any]

TEE_ATTRIBUTE = "tee/type"
HTTP_PORT = 80
RANDOM_PORT, LEASED_IP = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """``groups`` and ``manifest`` are plain JSON values; ``reclamation`` is in nanoseconds."""

    groups: list[Json]
    manifest: list[Json]
    reclamation: int | None

    @property
    def manifest_text(self) -> str:
        """Return the manifest as canonical JSON: sorted keys, no whitespace."""
        return canonical_json(self.manifest)

    @property
    def version(self) -> str:
        """Return the SHA-256 of the canonical manifest in hex: what the chain keeps."""
        return manifest_hash(self.manifest_text)


@dataclass(slots=True)
class _Group:
    """One placement while it is put together."""

    units: list[Json] = field(default_factory=list)
    services: list[Json] = field(default_factory=list)
    by_profile: dict[str, Json] = field(default_factory=dict)
    tee: str | None = None


def compile_sdl(sdl: Sdl) -> Compiled:
    """Return groups and manifest of a sound document."""
    sequence = _sequence_numbers(sdl)
    groups: dict[str, _Group] = {}
    for unit in sdl.units():
        _add(groups.setdefault(unit.placement, _Group()), sdl, unit, sequence)
    names = sorted(groups)
    return Compiled(
        groups=[_group(name, sdl.placement[name], groups[name]) for name in names],
        manifest=[{"name": name, "services": groups[name].services} for name in names],
        reclamation=sdl.reclamation,
    )


def _sequence_numbers(sdl: Sdl) -> dict[str, int]:
    """Return the leased IPs' numbers: the last place in the sorted list of every use.

    Targets that are not global count too, as uses of an endpoint without a name.
    """
    uses = sorted(
        target.ip
        for name in sdl.deployment
        if name in sdl.services
        for expose in sdl.services[name].expose
        for target in expose.to
        if target.ip or not target.everybody
    )
    return {name: number for number, name in enumerate(uses, start=1)}


def _add(group: _Group, sdl: Sdl, unit: Unit, sequence: Mapping[str, int]) -> None:
    service, compute = sdl.services[unit.service], sdl.compute[unit.profile]
    exposed = _exposed(service, sequence)
    endpoints = [endpoint for entry in exposed for endpoint in _endpoints(entry)]
    shared = group.by_profile.get(unit.profile) if sdl.version is Version.V2_1 else None
    if shared is None:
        resources = {**_resources(compute, len(group.units) + 1), "endpoints": list(endpoints)}
        price = sdl.placement[unit.placement].pricing[unit.profile]
        shared = {
            "resource": resources,
            "count": unit.count,
            "price": {"denom": price.denom, "amount": decimal(price.amount)},
        }
        group.units.append(shared)
        group.by_profile[unit.profile] = shared
    else:
        shared["count"] += unit.count
        merged = [*shared["resource"]["endpoints"], *endpoints]
        shared["resource"]["endpoints"] = sorted(merged, key=_sequence_of)
    resources = {**shared["resource"], "endpoints": endpoints}
    group.services.append(_service(unit, service, resources, exposed))
    if service.params is not None and service.params.tee is not None:
        group.tee = service.params.tee


def _group(name: str, placement: Placement, group: _Group) -> Json:
    attributes = placement.attributes
    if group.tee is not None:
        attributes = tuple(sorted([*attributes, (TEE_ATTRIBUTE, group.tee)]))
    return {
        "name": name,
        "requirements": {
            "signed_by": {"all_of": _list(placement.all_of), "any_of": _list(placement.any_of)},
            "attributes": _attributes(attributes) or None,
        },
        "resources": group.units,
    }


def _service(unit: Unit, service: Service, resources: Json, exposed: list[Json]) -> Json:
    compiled: Json = {
        "name": unit.service,
        "image": service.image,
        "command": _list(service.command),
        "args": _list(service.args),
        "env": _list(service.env),
        "resources": resources,
        "count": unit.count,
        "expose": exposed,
        "credentials": None if service.credentials is None else _credentials(service.credentials),
    }
    if service.params is not None:
        compiled["params"] = _params(service.params)
    return compiled


def _credentials(credentials: Credentials) -> Json:
    return {
        "host": credentials.host,
        "email": credentials.email,
        "username": credentials.username,
        "password": credentials.password,
    }


def _params(params: Params) -> Json:
    mounts = [
        {"name": name, "mount": mount.path, "readOnly": mount.read_only}
        for name, mount in sorted(params.storage.items())
    ]
    compiled: Json = {"storage": mounts or None}
    if params.permissions is not None:
        compiled["permissions"] = {"read": list(params.permissions)} if params.permissions else {}
    if params.tee is not None:
        compiled["tee"] = {"type": params.tee, "attestation": True}
    return compiled


def _exposed(service: Service, sequence: Mapping[str, int]) -> list[Json]:
    entries = [
        _entry(expose, target, sequence)
        for expose in service.expose
        for target in expose.to or (Target(),)
    ]
    return sorted(entries, key=lambda e: (e["service"], e["port"], e["proto"], not e["global"]))


def _entry(expose: Expose, target: Target, sequence: Mapping[str, int]) -> Json:
    return {
        "port": expose.port,
        "externalPort": expose.external_port,
        "proto": expose.protocol,
        "service": target.service,
        "global": target.everybody,
        "hosts": _list(expose.accept),
        "httpOptions": _http_options(expose.http),
        "ip": target.ip,
        "endpointSequenceNumber": sequence[target.ip] if target.everybody and target.ip else 0,
    }


def _http_options(options: HttpOptions) -> Json:
    compiled: Json = {
        "maxBodySize": options.max_body_size,
        "readTimeout": options.read_timeout,
        "sendTimeout": options.send_timeout,
        "nextTries": options.next_tries,
        "nextTimeout": options.next_timeout,
        "nextCases": list(options.next_cases),
    }
    if options.proxy_buffer_size:
        compiled["proxyBufferSize"] = options.proxy_buffer_size
    return compiled


def _endpoints(entry: Json) -> Iterable[Json]:
    """Return what a global port takes: an HTTP host name or a raw port, and perhaps an IP."""
    if not entry["global"]:
        return
    http = entry["proto"] == "TCP" and (entry["externalPort"] or entry["port"]) == HTTP_PORT
    yield {"sequence_number": 0} if http else {"kind": RANDOM_PORT, "sequence_number": 0}
    if entry["ip"]:
        yield {"kind": LEASED_IP, "sequence_number": entry["endpointSequenceNumber"]}


def _sequence_of(endpoint: Json) -> int:
    number: int = endpoint["sequence_number"]
    return number


def _resources(compute: Compute, resource_id: int) -> Json:
    gpu = compute.gpu
    models = sorted((gpu_key(model), "true") for model in gpu.models) if gpu is not None else []
    if gpu is not None and not models:
        models = [("vendor/nvidia/model/*", "true")]
    arch = () if compute.arch is None else (("arch", compute.arch),)
    return {
        "id": resource_id,
        "cpu": _with({"units": _value(compute.cpu)}, arch),
        "memory": {"size": _value(compute.memory)},
        "storage": [_volume(volume) for volume in _in_reference_order(compute.storage)],
        "gpu": _with({"units": _value(gpu.units if gpu is not None else 0)}, models),
    }


def _volume(volume: Volume) -> Json:
    attributes = []
    if volume.storage_class is not None:
        attributes.append(("class", volume.storage_class))
    if volume.persistent is not None:
        attributes.append(("persistent", "true" if volume.persistent else "false"))
    return _with({"name": volume.name, "size": _value(volume.size)}, attributes)


def _in_reference_order(volumes: Iterable[Volume]) -> list[Volume]:
    """Return volumes as the reference's insertion sort leaves them: smaller ones first.

    Its comparison is no order (two ephemeral volumes of one size are each before the other), so the
    algorithm decides: each volume moves forward for as long as it is "before" its neighbour.
    """
    ordered: list[Volume] = []
    for volume in volumes:
        at = len(ordered)
        while at and _is_before(volume, ordered[at - 1]):
            at -= 1
        ordered.insert(at, volume)
    return ordered


def _is_before(left: Volume, right: Volume) -> bool:
    if left.size != right.size:
        return left.size < right.size
    if left.persistent is None or right.persistent is None:
        return left.persistent is None
    if left.persistent != right.persistent:
        return right.persistent
    return not left.persistent or left.name < right.name


def _attributes(pairs: Attributes | list[tuple[str, str]]) -> list[Json]:
    return [{"key": key, "value": value} if value else {"key": key} for key, value in pairs]


def _with(value: Json, attributes: Attributes | list[tuple[str, str]]) -> Json:
    return {**value, "attributes": _attributes(attributes)} if attributes else value


def _value(number: int) -> Json:
    return {"val": str(number)}


def _list(texts: tuple[str, ...] | None) -> list[str] | None:
    return None if texts is None else list(texts)
