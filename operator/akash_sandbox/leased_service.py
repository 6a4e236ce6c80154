"""From a manifest to the workloads of a lease, and from their states to the provider's status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from akash_sandbox.images.reference import ImageError, parse
from akash_sandbox.market.deployment import Deployment
from akash_sandbox.market.lease import Lease
from akash_sandbox.market.provider import Provider
from akash_sandbox.sdl.expose import is_shared_http
from akash_sandbox.workload import WorkloadAsk, WorkloadState

Json = dict[str, Any]

HUB = "registry-1.docker.io"
HUBS = ("docker.io", "index.docker.io")


def services(deployment: Deployment, lease: Lease, manifest: Sequence[Json]) -> list[Json]:
    """Return the manifest's services of the lease's group."""
    name = deployment.group(lease.gseq).name
    return [s for group in manifest if group["name"] == name for s in group["services"]]


def workload_id(deployment: Deployment, lease: Lease, service: Json) -> str:
    """Return a name that no other account's workload has, though it may have the same dseq."""
    key = f"{deployment.dseq}-{lease.gseq}-{lease.oseq}"
    return f"{key}-{service['name']}-{deployment.owner[-6:]}"


def ask(id_: str, service: Json, provider: Provider) -> WorkloadAsk:
    """Return what a provider has to run for one service of a manifest."""
    resources = service["resources"]
    return WorkloadAsk(
        id=id_,
        image=service["image"],
        command=tuple(service["command"] or ()),
        args=tuple(service["args"] or ()),
        env=tuple(_pair(item) for item in service["env"] or ()),
        ports=tuple(dict.fromkeys(e["port"] for e in service["expose"] if _forwarded(e))),
        cpu_millis=int(resources["cpu"]["units"]["val"]),
        memory_bytes=int(resources["memory"]["size"]["val"]),
        confinement=provider.confinement,
        host=provider.host,
        provider=provider.name,
        login=login_for(service["credentials"], service["image"]),
    )


def status(found: Mapping[str, tuple[Json, WorkloadState | None]], host: str) -> Json:
    """Return a lease's status as its provider's gateway reports it, by service name."""
    return {
        "services": {name: _service(s, state, host) for name, (s, state) in found.items()},
        "forwarded_ports": {name: _ports(s, state, host) for name, (s, state) in found.items()},
        "ips": None,
    }


def login_for(credentials: Json | None, image: str) -> tuple[str, str]:
    """Return the user and password, if they are for the image's registry, as a kubelet looks it up."""
    if credentials is None:
        return "", ""
    host = credentials["host"].removeprefix("https://").partition("/")[0]
    try:
        registry = parse(image).registry
    except ImageError:
        return "", ""
    named = {host, HUB} if host in HUBS else {host}
    return (credentials["username"], credentials["password"]) if registry in named else ("", "")


def _pair(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return name, value


def _forwarded(expose: Json) -> bool:
    return bool(expose["global"]) and expose["proto"] == "TCP"


def _service(service: Json, state: WorkloadState | None, host: str) -> Json:
    ready = 1 if state is not None and state.running else 0
    return {
        "name": service["name"],
        "available": ready,
        "total": 1,
        "uris": _uris(service, state, host) or None,
        "observed_generation": 1,
        "replicas": 1,
        "updated_replicas": 1,
        "ready_replicas": ready,
        "available_replicas": ready,
    }


def _uris(service: Json, state: WorkloadState | None, host: str) -> list[str]:
    external = dict(state.forwarded) if state is not None else {}
    return [
        f"{host}:{external[e['port']]}"
        for e in service["expose"]
        if _forwarded(e) and is_shared_http(e) and e["port"] in external
    ]


def _ports(service: Json, state: WorkloadState | None, host: str) -> list[Json]:
    external = dict(state.forwarded) if state is not None else {}
    return [
        {
            "host": host,
            "port": e["port"],
            "externalPort": external[e["port"]],
            "proto": "TCP",
            "name": service["name"],
        }
        for e in service["expose"]
        if _forwarded(e) and not is_shared_http(e) and e["port"] in external
    ]
