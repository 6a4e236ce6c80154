"""What the Console shows to anybody: providers, and its database's listings."""

from __future__ import annotations

import datetime as dt
from typing import Any

from aiohttp import web

from akash_sandbox.console import shapes
from akash_sandbox.console.bodies import InfoQuery, ListQuery, query
from akash_sandbox.console.problem import ProblemError
from akash_sandbox.market.deployment import Deployment
from akash_sandbox.market.provider import GpuStock, Provider
from akash_sandbox.venue import Venue

Json = dict[str, Any]


class Catalog:
    """The handlers that need no key."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v1/providers", self._providers),
            web.get("/v1/providers/{address}", self._provider),
            web.get("/akash/deployment/{version}/deployments/list", self._deployments),
            web.get("/akash/deployment/{version}/deployments/info", self._deployment),
            web.get("/akash/market/{version}/leases/list", self._leases),
        ]

    async def _providers(self, request: web.Request) -> web.Response:
        asked = [a for a in request.query.get("addresses", "").split(",") if a]
        found = self._venue.book.providers.values()
        return web.json_response([self._shape(p) for p in found if not asked or p.id in asked])

    async def _provider(self, request: web.Request) -> web.Response:
        found = self._venue.book.providers.get(request.match_info["address"])
        if found is None:
            raise ProblemError(404, "Provider not found")
        return web.json_response({**self._shape(found), "stats": self._stats(found), "uptime": []})

    async def _deployments(self, request: web.Request) -> web.Response:
        asked = query(request, ListQuery)
        found = [d for d in self._indexed(asked) if asked.state in ("", d.state.value)]
        shown = _page(found, asked)
        return web.json_response(
            {"deployments": [self._listed(d) for d in shown], "pagination": _total(found)}
        )

    async def _deployment(self, request: web.Request) -> web.Response:
        asked = query(request, InfoQuery)
        found = self._indexed(
            ListQuery(**{"filters.owner": asked.owner, "filters.dseq": asked.dseq})
        )
        if not found:
            missing = {"code": 5, "message": "deployment not found", "details": []}
            return web.json_response(missing)
        return web.json_response(self._listed(found[0]))

    async def _leases(self, request: web.Request) -> web.Response:
        asked = query(request, ListQuery)
        found = [
            {
                "lease": shapes.lease(d, lease),
                "escrow_payment": shapes.payment(d, lease),
            }
            for d in self._indexed(asked)
            for lease in d.leases
            if asked.state in ("", lease.state.value) and asked.provider in ("", lease.provider)
        ]
        return web.json_response({"leases": _page(found, asked), "pagination": _total(found)})

    def _indexed(self, asked: ListQuery) -> list[Deployment]:
        """Return what the database knows by now: it runs behind the chain."""
        newest = self._venue.now() - self._venue.settings.index_lag_seconds
        return [
            d
            for d in self._venue.book.deployments.values()
            if d.posted <= newest
            if asked.owner in ("", d.owner) and asked.dseq in ("", d.dseq)
        ]

    def _listed(self, found: Deployment) -> Json:
        return {
            "deployment": shapes.deployment(found),
            "groups": [shapes.group(found, group) for group in found.groups],
            "escrow_account": shapes.escrow_account(found),
        }

    def _shape(self, provider: Provider) -> Json:
        online = not self._venue.faults.provider(provider.name).dead
        checked = dt.datetime.fromtimestamp(self._venue.now(), dt.UTC).isoformat()
        return {
            **_record(provider),
            **_hardware(provider),
            "hostUri": self._venue.host_uri(provider),
            "deploymentCount": self._venue.book.use(provider.id).leases,
            "leaseCount": self._venue.book.use(provider.id).leases,
            "isOnline": online,
            "lastCheckDate": checked,
            "lastOnlineDate": checked if online else None,
        }

    def _stats(self, provider: Provider) -> Json:
        use = self._venue.book.use(provider.id)
        gpus = sum(gpu.count for gpu in provider.gpus)
        return {
            "cpu": _stat(use.cpu, provider.cpu),
            "gpu": _stat(sum(count for _, count in use.gpus), gpus),
            "memory": _stat(use.memory, provider.memory),
            "storage": {
                "ephemeral": _stat(use.storage, provider.storage),
                "persistent": _stat(0, 0),
            },
        }


def _page(found: list[Any], asked: ListQuery) -> list[Any]:
    ordered = found[::-1] if asked.reverse else found
    return ordered[asked.offset : asked.offset + asked.limit]


def _total(found: list[Any]) -> Json:
    return {"next_key": None, "total": str(len(found))}


def _stat(active: int, all_of_it: int) -> Json:
    return {"active": active, "available": all_of_it - active, "pending": 0}


def _record(provider: Provider) -> Json:
    return {
        "owner": provider.id,
        "name": provider.name,
        "createdHeight": 1,
        "email": "",
        "website": "",
        "cosmosSdkVersion": "v0.53.0",
        "akashVersion": "0.14.0",
        "ipRegion": provider.region,
        "ipRegionCode": None,
        "ipCountry": provider.country,
        "ipCountryCode": provider.country,
        "ipLat": None,
        "ipLon": None,
        "uptime1d": provider.uptime_1d,
        "uptime7d": provider.uptime_7d,
        "uptime30d": provider.uptime_30d,
        "isValidVersion": True,
        "isAudited": bool(provider.audited_by),
        "attributes": [
            {"key": key, "value": value, "auditedBy": list(provider.audited_by)}
            for key, value in sorted(provider.all_attributes.items())
        ],
        "host": "akash",
        "organization": provider.organization,
        "statusPage": None,
        "locationRegion": provider.region,
        "country": provider.country,
        "city": provider.city,
        "timezone": None,
        "locationType": None,
        "hostingProvider": None,
        "tier": provider.attributes.get("tier"),
    }


def _hardware(provider: Provider) -> Json:
    return {
        "gpuModels": [_gpu(gpu) for gpu in provider.gpus],
        "hardwareCpu": None,
        "hardwareCpuArch": "x86-64",
        "hardwareGpuVendor": "nvidia" if provider.gpus else None,
        "hardwareGpuModels": [gpu.model for gpu in provider.gpus],
        "hardwareDisk": [],
        "featPersistentStorage": False,
        "featPersistentStorageType": [],
        "hardwareMemory": None,
        "networkProvider": None,
        "networkSpeedDown": 0,
        "networkSpeedUp": 0,
        "featEndpointCustomDomain": False,
        "workloadSupportChia": False,
        "workloadSupportChiaCapabilities": [],
        "featEndpointIp": False,
    }


def _gpu(gpu: GpuStock) -> Json:
    return {"vendor": gpu.vendor, "model": gpu.model, "ram": gpu.ram, "interface": gpu.interface}
