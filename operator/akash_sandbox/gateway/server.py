"""One provider's gateway, as measured on a real one."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from akash_sandbox.gateway.access import Access
from akash_sandbox.gateway.answers import RefusedError, answer, empty, number, parsed, text
from akash_sandbox.gateway.clients import Doorkeeper
from akash_sandbox.gateway.shell import Shell
from akash_sandbox.gateway.streams import Streams
from akash_sandbox.market.lease import Lease
from akash_sandbox.market.provider import Provider
from akash_sandbox.misbehaviour import misbehaving
from akash_sandbox.venue import Venue

Json = dict[str, Any]

_LEASE = "/lease/{dseq}/{gseq}/{oseq}"


class Gateway:
    """The handlers of one provider's REST interface."""

    def __init__(self, venue: Venue, provider: Provider, doorkeeper: Doorkeeper) -> None:
        self._venue = venue
        self._provider = provider
        self._access = Access(venue, provider, doorkeeper)

    def app(self) -> web.Application:
        """Return the gateway's application."""
        app = web.Application(
            middlewares=[misbehaving(self._venue, self._provider.name), _refusing]
        )
        streams, shell = Streams(self._venue, self._access), Shell(self._venue, self._access)
        app.add_routes(
            [
                web.get("/status", self._status),
                web.get("/address", self._address),
                web.get("/version", self._version),
                web.put("/deployment/{dseq}/manifest", self._put_manifest),
                web.get(f"{_LEASE}/manifest", self._get_manifest),
                web.get(f"{_LEASE}/status", self._lease_status),
                web.get(f"{_LEASE}/service/{{service}}/status", self._service_status),
                web.get(f"{_LEASE}/logs", streams.logs),
                web.get(f"{_LEASE}/kubeevents", streams.events),
                web.get(f"{_LEASE}/shell", shell.run),
            ]
        )
        return app

    async def _status(self, _request: web.Request) -> web.Response:
        use = self._venue.book.use(self._provider.id)
        body = {
            "cluster": {"leases": use.leases, "inventory": {"available": {}}},
            "bidengine": {"orders": 0},
            "manifest": {"deployments": use.leases},
            "cluster_public_hostname": self._venue.host_of(self._provider),
            "address": self._provider.id,
        }
        return answer(body)

    async def _address(self, _request: web.Request) -> web.Response:
        return answer({"address": self._provider.id})

    async def _version(self, _request: web.Request) -> web.Response:
        return answer({"akash": _AKASH, "kube": _KUBE})

    async def _put_manifest(self, request: web.Request) -> web.Response:
        dseq = number(request, "dseq")
        owner = self._access.owner(request, "send-manifest", dseq)
        manifest = parsed(await request.read())
        if not isinstance(manifest, list) or not manifest:
            return text(422, "invalid manifest: manifest is empty")
        found = self._venue.deployment(owner, dseq)
        if found is None:
            words = "rpc error: code = NotFound desc = Deployment not found: key not found"
            return text(500, words)
        if not found.is_active:
            return text(404, "no lease for deployment")
        if not self._venue.accept_manifest(found, self._provider.id, manifest):
            return text(422, "manifest version validation failed")
        await self._venue.commit()
        if not any(self._mine(lease) for lease in found.leases):
            # Kept all the same: it is deployed as soon as the lease is there.
            return text(404, "no lease for deployment")
        return empty(200)

    async def _get_manifest(self, request: web.Request) -> web.Response:
        found = self._access.lease(request, "get-manifest")
        manifest = self._venue.manifest_of(found.deployment, self._provider.id) or []
        name = found.deployment.group(found.lease.gseq).name
        return answer([_stored(group) for group in manifest if group["name"] == name])

    async def _lease_status(self, request: web.Request) -> web.Response:
        found = self._access.lease(request, "status")
        return answer(self._venue.lease_status(found.deployment, found.lease))

    async def _service_status(self, request: web.Request) -> web.Response:
        found = self._access.lease(request, None)
        status = self._venue.lease_status(found.deployment, found.lease) or {"services": {}}
        service = status["services"].get(request.match_info["service"])
        if service is None:
            return text(404, "kube: no service for that lease")
        return answer(service)

    def _mine(self, lease: Lease) -> bool:
        return lease.is_open and lease.provider == self._provider.id


@web.middleware
async def _refusing(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except RefusedError as refused:
        return refused.response
    except web.HTTPNotFound:
        return text(404, "404 page not found")
    except web.HTTPMethodNotAllowed:
        return empty(405)
    return response


def _stored(group: Json) -> Json:
    """Return a group as a provider's cluster keeps it: without the endpoints of the resources."""
    services = [
        {**service, "resources": {**service["resources"], "endpoints": None}}
        for service in group["services"]
    ]
    return {**group, "services": services}


_AKASH: Json = {
    "name": "provider-services",
    "server_name": "provider-services",
    "version": "0.14.0",
    "commit": "",
    "build_tags": "",
    "go": "go version go1.26.8 linux/amd64",
    "build_deps": ["pkg.akt.dev/go@v0.2.16"],
    "cosmos_sdk_version": "v0.53.4",
}
_KUBE: Json = {
    "major": "1",
    "minor": "33",
    "gitVersion": "v1.33.0",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
