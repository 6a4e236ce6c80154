"""Backends rendered as a Service and one EndpointSlice per replica."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from garrison.api.meta import (
    LABEL_MANAGED_BY,
    LABEL_WORKLOAD,
    LEASE,
    MANAGED_BY,
    SERVICE,
    SLICE,
    WORKLOAD,
    Key,
    Kind,
    Meta,
)
from garrison.api.workload import Workload
from garrison.core.conditions import how_reached
from garrison.core.situation import Routing
from garrison.core.traffic import Backend
from garrison.errors import GarrisonError, UnsafeDestinationError
from garrison.ports.clock import Clock
from garrison.ports.kube import Kube, Object
from garrison.ports.probe import Screen

RESOLVE = timedelta(seconds=60)
REAPPLY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A backend at the address it resolved to."""

    backend: Backend
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The objects that should exist, and what to say about them."""

    routing: Routing | None
    objects: tuple[tuple[Kind, Object], ...] = ()
    stale: tuple[str, ...] = ()
    """EndpointSlices to delete"""


def is_unroutable(address: str) -> bool:
    """Return whether the API server refuses the address in an EndpointSlice."""
    parsed = ipaddress.ip_address(address)
    return (
        parsed.is_loopback or parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified
    )


def render(workload: Workload, routes: Sequence[Route], leases: Mapping[str, Meta]) -> Routes:
    """Return the Service and slices for these routes. Pure."""
    routes, proxied = _split(routes)
    if proxied and not routes:
        message = (
            f"replicas are behind their provider's HTTP proxy, which routes by host name: "
            f"{', '.join(proxied)}; use: garrison connect iw/{workload.meta.name} "
            f"-n {workload.meta.namespace}"
        )
        return Routes(routing=Routing(routed=False, reason="BehindIngress", message=message))
    refused = sorted({each.address for each in routes if is_unroutable(each.address)})
    if refused:
        message = (
            f"replicas are at {', '.join(refused)}, which Kubernetes does not accept in an "
            f"EndpointSlice; use: garrison connect iw/{workload.meta.name} -n {workload.meta.namespace}"
        )
        return Routes(routing=Routing(routed=False, reason="UnroutableAddress", message=message))
    if not routes:
        return Routes(
            routing=Routing(routed=False, reason="NoBackend", message="no replica is Ready")
        )
    name, namespace = workload.meta.name, workload.meta.namespace
    scheme = "http" if workload.spec.trust == "Unverified" else "https"
    url = f"{scheme}://{name}.{namespace}.svc:{workload.spec.port}"
    objects = [(SERVICE, service(workload))]
    objects += [(SLICE, _slice(workload, each, leases[each.backend.lease])) for each in routes]
    count = sum(not each.backend.draining for each in routes)
    routing = Routing(
        routed=True,
        reason="Routed",
        message=f"{count} backends at {url}; {how_reached(workload)}",
        url=url,
    )
    return Routes(routing=routing, objects=tuple(objects))


def _unresolved(workload: Workload, backends: Sequence[Backend]) -> Routing:
    """There are replicas, and none has an address that may be dialled."""
    hosts = ", ".join(sorted({each.host for each in backends}))
    message = (
        f"no usable address for {hosts}, tried again within a minute; if it lasts, look at the "
        "operator's DNS, or exclude the provider in a ProviderPolicy. Until then: "
        f"garrison connect iw/{workload.meta.name} -n {workload.meta.namespace}"
    )
    return Routing(routed=False, reason="AddressUnknown", message=message)


def _split(routes: Sequence[Route]) -> tuple[Sequence[Route], Sequence[str]]:
    """The routes that an address is enough for, and the host names of the others."""
    direct = [each for each in routes if not each.backend.ingress]
    return direct, sorted({each.backend.host for each in routes if each.backend.ingress})


def _owner(kind: Kind, meta: Meta) -> dict[str, Any]:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _labels(workload: Workload) -> dict[str, str]:
    return {LABEL_MANAGED_BY: MANAGED_BY, LABEL_WORKLOAD: workload.meta.name[:63]}


def service(workload: Workload) -> Object:
    """Return the Service without selector that carries the workload's name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": workload.meta.name,
            "namespace": workload.meta.namespace,
            "labels": _labels(workload),
            "ownerReferences": [_owner(WORKLOAD, workload.meta)],
        },
        "spec": {
            "type": "ClusterIP",
            "ports": [{"name": "http", "protocol": "TCP", "port": workload.spec.port}],
        },
    }


def _slice(workload: Workload, route: Route, lease: Meta) -> Object:
    draining = route.backend.draining
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": route.backend.lease,
            "namespace": workload.meta.namespace,
            "labels": {
                "kubernetes.io/service-name": workload.meta.name,
                "endpointslice.kubernetes.io/managed-by": MANAGED_BY,
                **_labels(workload),
            },
            "ownerReferences": [_owner(LEASE, lease)],
        },
        "addressType": "IPv6" if ":" in route.address else "IPv4",
        "endpoints": [
            {
                "addresses": [route.address],
                "conditions": {"ready": not draining, "serving": True, "terminating": draining},
            }
        ],
        "ports": [{"name": "http", "protocol": "TCP", "port": route.backend.port}],
    }


def is_ours(found: Object, body: Object) -> bool:
    """Return whether an existing object is the one that Garrison wrote for the same owner."""
    meta = found["metadata"]
    owners = {each["uid"] for each in meta.get("ownerReferences") or ()}
    wanted = {each["uid"] for each in body["metadata"]["ownerReferences"]}
    return (meta.get("labels") or {}).get(LABEL_MANAGED_BY) == MANAGED_BY and wanted <= owners


def without(workload: Workload, wanted: Routes, taken: Sequence[tuple[Kind, Object]]) -> Routes:
    """Return the routes that leave alone what somebody else made under these names. Pure.

    Slices name their Service: when that is somebody else's there are none, or they would get its
    traffic.
    """
    if not taken:
        return wanted
    kind, body = taken[0]
    name, namespace = body["metadata"]["name"], workload.meta.namespace
    message = (
        f"{kind.kind} {namespace}/{name} exists and is not this workload's; rename the workload or "
        f"delete that {kind.kind}. Until then: garrison connect iw/{workload.meta.name} "
        f"-n {namespace}"
    )
    kept = tuple(each for each in wanted.objects if each not in taken)
    return Routes(
        routing=Routing(routed=False, reason="NameTaken", message=message),
        objects=() if kind == SERVICE else kept,
    )


class Router:
    """Resolves backends once a minute and applies what has changed.

    Looks before it writes: what somebody else made under a name is left alone. Server-side apply
    has no precondition for "not there yet", so an object made in the instant between is taken over.
    """

    def __init__(self, *, kube: Kube, screen: Screen, clock: Clock) -> None:
        self._kube = kube
        self._screen = screen
        self._clock = clock
        self._resolved: dict[tuple[str, int], tuple[datetime, str]] = {}
        self._applied: dict[Key, dict[str, tuple[datetime, str]]] = {}

    def forget(self, key: Key) -> None:
        """Drop what is remembered about a workload's routes."""
        self._applied.pop(key, None)

    async def routes(
        self,
        workload: Workload,
        backends: Sequence[Backend],
        leases: Mapping[str, Meta],
        *,
        allow_private: bool,
    ) -> Routes:
        """Return what should exist for these backends, and what of it has to be written."""
        resolved, unknown = await self._resolve(backends, allow_private=allow_private)
        known = await self._known(workload)
        wanted = render(workload, resolved, leases)
        if backends and not resolved:
            wanted = replace(wanted, routing=_unresolved(workload, backends))
        wanted = without(workload, wanted, await self._taken(workload, wanted))
        names = {body["metadata"]["name"] for kind, body in wanted.objects if kind == SLICE}
        return replace(
            wanted,
            objects=tuple(each for each in wanted.objects if self._is_changed(workload, each)),
            stale=tuple(sorted(known.keys() - names - unknown - {""})),
        )

    async def _known(self, workload: Workload) -> dict[str, tuple[datetime, str]]:
        """Return what was written, asking once for the slices that an earlier process wrote."""
        record = self._applied.get(_key(workload))
        if record is None:
            found = await self._kube.list(
                SLICE, namespace=workload.meta.namespace, labels=_labels(workload)
            )
            long_ago = self._clock.now() - REAPPLY
            record = {each["metadata"]["name"]: (long_ago, "") for each in found}
            self._applied[_key(workload)] = record
        return record

    async def _taken(self, workload: Workload, wanted: Routes) -> list[tuple[Kind, Object]]:
        """Return the objects to write whose names somebody else's objects have."""
        changed = [each for each in wanted.objects if self._is_changed(workload, each)]
        if not changed:
            return []
        taken = []
        for item in wanted.objects:
            kind, body = item
            if kind != SERVICE and item not in changed:
                continue
            found = await self._kube.get(kind, workload.meta.namespace, body["metadata"]["name"])
            if found is not None and not is_ours(found, body):
                self._applied[_key(workload)].pop(_slot(item), None)
                taken.append(item)
        return taken

    async def _resolve(
        self, backends: Sequence[Backend], *, allow_private: bool
    ) -> tuple[list[Route], set[str]]:
        """Return the routes, and the leases whose address is not known now.

        What an earlier process wrote for those stays: name servers that are silent at a restart must
        not end traffic that flows.
        """
        resolved, unknown = [], set()
        for backend in backends:
            try:
                address = await self._address(backend, allow_private=allow_private)
            except UnsafeDestinationError:
                continue
            except GarrisonError:
                unknown.add(backend.lease)
            else:
                resolved.append(Route(backend=backend, address=address))
        return resolved, unknown

    async def _address(self, backend: Backend, *, allow_private: bool) -> str:
        """Return the newest address of a backend. Raises GarrisonError when it never had one."""
        key = (backend.host, backend.port)
        known = self._resolved.get(key)
        now = self._clock.now()
        if known is not None and now - known[0] < RESOLVE:
            return known[1]
        try:
            found = await self._screen.destination(
                backend.host, backend.port, allow_private=allow_private
            )
        except GarrisonError:
            if known is None:
                raise
            return known[1]
        if len(self._resolved) > 10_000:
            self._resolved.clear()
        self._resolved[key] = (now, found.address)
        return found.address

    def _is_changed(self, workload: Workload, item: tuple[Kind, Object]) -> bool:
        known = self._applied.get(_key(workload), {}).get(_slot(item))
        if known is None or self._clock.now() - known[0] >= REAPPLY:
            return True
        return known[1] != json.dumps(item[1], sort_keys=True)

    async def apply(self, workload: Workload, item: tuple[Kind, Object]) -> None:
        """Write one object."""
        await self._kube.apply(*item)
        record = self._applied.setdefault(_key(workload), {})
        record[_slot(item)] = (self._clock.now(), json.dumps(item[1], sort_keys=True))

    async def remove(self, workload: Workload, name: str) -> None:
        """Delete the slice of a replica that is no backend any more."""
        await self._kube.delete(SLICE, workload.meta.namespace, name)
        self._applied.get(_key(workload), {}).pop(name, None)


def _key(workload: Workload) -> Key:
    return Key(kind=WORKLOAD.kind, namespace=workload.meta.namespace, name=workload.meta.name)


def _slot(item: tuple[Kind, Object]) -> str:
    return str(item[1]["metadata"]["name"]) if item[0] == SLICE else ""
