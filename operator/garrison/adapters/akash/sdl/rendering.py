"""From an ``Sdl`` to YAML: the inverse of ``parse``."""

from __future__ import annotations

from typing import Any, TypeAlias

import yaml

from garrison.adapters.akash.sdl.model import (
    DECIMALS,
    DEFAULT_VOLUME,
    Compute,
    Expose,
    Gpu,
    GpuModel,
    HttpOptions,
    Params,
    Placement,
    Price,
    Sdl,
    Service,
    Target,
    Volume,
)
from garrison.adapters.akash.sdl.quantity import decimal

Document: TypeAlias = dict[str, Any]
_DEFAULTS = HttpOptions()
_NANOSECONDS = 10**9


class _Quoting(yaml.SafeDumper):
    """Writes every string in double quotes."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Quoting.add_representer(str, _quoted)


def render_text(sdl: Sdl) -> str:
    """Return the SDL as YAML with every string quoted.

    YAML's dialects disagree on what a plain ``1e3`` or ``no`` is; on quoted strings they agree.
    """
    return yaml.dump(render(sdl), Dumper=_Quoting, sort_keys=False, width=1 << 16)


def render(sdl: Sdl) -> Document:
    """Return the SDL as plain values, defaults left out."""
    document: Document = {"version": str(sdl.version)}
    if sdl.include:
        document["include"] = list(sdl.include)
    document["services"] = {name: _service(each) for name, each in sdl.services.items()}
    document["profiles"] = {
        "compute": {name: {"resources": _compute(each)} for name, each in sdl.compute.items()},
        "placement": {name: _placement(each) for name, each in sdl.placement.items()},
    }
    document["deployment"] = {
        service: {
            place: {"profile": each.profile, "count": each.count} for place, each in places.items()
        }
        for service, places in sdl.deployment.items()
    }
    if sdl.endpoints:
        document["endpoints"] = {name: {"kind": "ip"} for name in sdl.endpoints}
    if sdl.reclamation is not None:
        document["reclamation"] = {"min_window": _duration(sdl.reclamation)}
    return document


def _service(service: Service) -> Document:
    rendered: Document = {"image": service.image}
    for name, texts in (("command", service.command), ("args", service.args), ("env", service.env)):
        if texts is not None:
            rendered[name] = list(texts)
    if service.expose:
        rendered["expose"] = [_expose(each) for each in service.expose]
    if service.dependencies:
        rendered["dependencies"] = [{"service": name} for name in service.dependencies]
    if service.params is not None:
        rendered["params"] = _params(service.params)
    if service.credentials is not None:
        rendered["credentials"] = {
            "host": service.credentials.host,
            "username": service.credentials.username,
            "password": service.credentials.password,
        }
        if service.credentials.email:
            rendered["credentials"]["email"] = service.credentials.email
    return rendered


def _expose(expose: Expose) -> Document:
    rendered: Document = {"port": expose.port}
    if expose.external_port:
        rendered["as"] = expose.external_port
    rendered["proto"] = expose.protocol.lower()
    if expose.accept is not None:
        rendered["accept"] = list(expose.accept)
    http = _http_options(expose.http)
    if http:
        rendered["http_options"] = http
    if expose.to:
        rendered["to"] = [_target(each) for each in expose.to]
    return rendered


def _target(target: Target) -> Document:
    rendered: Document = {}
    if target.service:
        rendered["service"] = target.service
    if target.everybody:
        rendered["global"] = True
    if target.ip:
        rendered["ip"] = target.ip
    return rendered


def _http_options(options: HttpOptions) -> Document:
    rendered: Document = {}
    for name in (
        "max_body_size",
        "proxy_buffer_size",
        "read_timeout",
        "send_timeout",
        "next_tries",
        "next_timeout",
    ):
        if getattr(options, name) != getattr(_DEFAULTS, name):
            rendered[name] = getattr(options, name)
    if options.next_cases != _DEFAULTS.next_cases:
        rendered["next_cases"] = list(options.next_cases)
    return rendered


def _params(params: Params) -> Document:
    rendered: Document = {}
    if params.storage:
        rendered["storage"] = {
            name: {"mount": mount.path, **({"readOnly": True} if mount.read_only else {})}
            for name, mount in params.storage.items()
        }
    if params.permissions is not None:
        rendered["permissions"] = {"read": list(params.permissions)}
    if params.tee is not None:
        rendered["tee"] = params.tee
    return rendered


def _compute(compute: Compute) -> Document:
    cpu: Document = {"units": f"{compute.cpu}m"}
    if compute.arch is not None:
        cpu["attributes"] = {"arch": compute.arch}
    rendered: Document = {
        "cpu": cpu,
        "memory": {"size": str(compute.memory)},
        "storage": [_volume(each) for each in compute.storage],
    }
    if compute.gpu is not None:
        rendered["gpu"] = _gpu(compute.gpu)
    return rendered


def _volume(volume: Volume) -> Document:
    rendered: Document = {} if volume.name == DEFAULT_VOLUME else {"name": volume.name}
    rendered["size"] = str(volume.size)
    if volume.persistent is None:
        return rendered
    # `true` would bring the default class with it; `yes` is persistent without a class.
    classless = volume.persistent and volume.storage_class is None
    persistent: Any = "yes" if classless else volume.persistent
    rendered["attributes"] = {"persistent": persistent}
    if volume.storage_class is not None:
        rendered["attributes"]["class"] = volume.storage_class
    return rendered


def _gpu(gpu: Gpu) -> Document:
    models = [_gpu_model(each) for each in gpu.models]
    return {"units": gpu.units, "attributes": {"vendor": {"nvidia": models}}}


def _gpu_model(model: GpuModel) -> Document:
    rendered: Document = {"model": model.model}
    if model.ram is not None:
        rendered["ram"] = f"{model.ram}Gi"
    if model.interface is not None:
        rendered["interface"] = model.interface
    return rendered


def _placement(placement: Placement) -> Document:
    rendered: Document = {}
    if placement.attributes:
        rendered["attributes"] = dict(placement.attributes)
    signed = {
        name: list(auditors)
        for name, auditors in (("allOf", placement.all_of), ("anyOf", placement.any_of))
        if auditors is not None
    }
    if signed:
        rendered["signedBy"] = signed
    rendered["pricing"] = {name: _price(each) for name, each in placement.pricing.items()}
    return rendered


def _price(price: Price) -> Document:
    units, rest = divmod(price.amount, 10**DECIMALS)
    return {"denom": price.denom, "amount": decimal(price.amount).rstrip("0") if rest else units}


def _duration(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, _NANOSECONDS)
    return f"{nanoseconds}ns" if rest else f"{seconds}s"
