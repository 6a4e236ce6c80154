"""One provider's gateway, as measured on a real one."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from akash_sandbox import jwt
from akash_sandbox.market.deployment import Deployment
from akash_sandbox.market.lease import Lease
from akash_sandbox.market.provider import Provider
from akash_sandbox.misbehaviour import misbehaving
from akash_sandbox.venue import Venue

Json = dict[str, Any]

_JSON = "application/json; charset=UTF-8"


class _RefusedError(Exception):
    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


class Gateway:
    """The handlers of one provider's REST interface."""

    def __init__(self, venue: Venue, provider: Provider) -> None:
        self._venue = venue
        self._provider = provider

    def app(self) -> web.Application:
        """Return the gateway's application."""
        app = web.Application(
            middlewares=[misbehaving(self._venue, self._provider.name), _refusing]
        )
        lease = "/lease/{dseq}/{gseq}/{oseq}"
        app.add_routes(
            [
                web.get("/status", self._status),
                web.get("/address", self._address),
                web.get("/version", self._version),
                web.put("/deployment/{dseq}/manifest", self._put_manifest),
                web.get(f"{lease}/manifest", self._get_manifest),
                web.get(f"{lease}/status", self._lease_status),
                web.get(f"{lease}/service/{{service}}/status", self._service_status),
            ]
        )
        return app

    async def _status(self, _request: web.Request) -> web.Response:
        use = self._venue.book.use(self._provider.id)
        body = {
            "cluster": {"leases": use.leases, "inventory": {"available": {}}},
            "bidengine": {"orders": 0},
            "manifest": {"deployments": use.leases},
            "cluster_public_hostname": self._venue.public_host,
            "address": self._provider.id,
        }
        return _json(body)

    async def _address(self, _request: web.Request) -> web.Response:
        return _json({"address": self._provider.id})

    async def _version(self, _request: web.Request) -> web.Response:
        return _json({"akash": {"version": "0.14.0"}, "kube": {"gitVersion": "v1.33.0"}})

    async def _put_manifest(self, request: web.Request) -> web.Response:
        dseq = _number(request, "dseq")
        self._authorise(request, "send-manifest", dseq)
        manifest = await _manifest(request)
        found = self._venue.book.deployments.get(dseq)
        if found is None:
            text = "rpc error: code = NotFound desc = Deployment not found: key not found"
            return _text(500, text)
        if not found.is_active:
            return _text(404, "no lease for deployment")
        if not self._venue.accept_manifest(found, self._provider.id, manifest):
            return _text(422, "manifest version validation failed")
        await self._venue.commit()
        if not any(self._mine(lease) for lease in found.leases):
            # Kept all the same: it is deployed as soon as the lease is there.
            return _text(404, "no lease for deployment")
        return web.Response(status=200)

    async def _get_manifest(self, request: web.Request) -> web.Response:
        found, _ = self._lease(request, "get-manifest")
        return _json(self._venue.manifest(found.dseq, self._provider.id))

    async def _lease_status(self, request: web.Request) -> web.Response:
        found, lease = self._lease(request, "status")
        return _json(self._venue.lease_status(found, lease))

    async def _service_status(self, request: web.Request) -> web.Response:
        found, lease = self._lease(request, None)
        status = self._venue.lease_status(found, lease) or {"services": {}}
        service = status["services"].get(request.match_info["service"])
        if service is None:
            return _text(404, "kube: no service for that lease")
        return _json(service)

    def _lease(self, request: web.Request, scope: str | None) -> tuple[Deployment, Lease]:
        """Return the lease of the path, which has its manifest; raises _RefusedError."""
        dseq, gseq, oseq = (_number(request, name) for name in ("dseq", "gseq", "oseq"))
        self._authorise(request, scope, dseq, int(gseq), int(oseq))
        found = self._venue.book.deployments.get(dseq)
        lease = found and found.lease(int(gseq), int(oseq), self._provider.id)
        if not found or not lease or self._venue.lease_status(found, lease) is None:
            raise _RefusedError(web.Response(status=404))
        return found, lease

    def _mine(self, lease: Lease) -> bool:
        return lease.is_open and lease.provider == self._provider.id

    def _authorise(
        self, request: web.Request, scope: str | None, dseq: str, gseq: int = 0, oseq: int = 0
    ) -> None:
        account = self._venue.account
        try:
            claims = jwt.verify(
                _token(request), {account.address: account.public}, self._venue.now()
            )
        except jwt.TokenError as error:
            raise _RefusedError(_message(error.status, str(error))) from error
        provider = self._provider.id
        if not jwt.allows(claims, provider=provider, scope=scope, dseq=dseq, gseq=gseq, oseq=oseq):
            raise _RefusedError(_message(401, "unauthorized access"))


@web.middleware
async def _refusing(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except _RefusedError as refused:
        return refused.response
    except web.HTTPNotFound:
        return _text(404, "404 page not found")
    except web.HTTPMethodNotAllowed:
        return web.Response(status=405)
    return response


def _token(request: web.Request) -> str:
    header = request.headers.get("Authorization")
    if header is None:
        raise jwt.TokenError("unauthorized access", 401)
    kind, _, token = header.partition(" ")
    if kind != "Bearer":
        raise jwt.TokenError("invalid authorization header", 400)
    return token


def _number(request: web.Request, name: str) -> str:
    text = request.match_info[name]
    if not text.isascii() or not text.isdigit():
        problem = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise _RefusedError(_text(400, problem))
    return text


async def _manifest(request: web.Request) -> list[Json]:
    try:
        manifest = json.loads(await request.read())
    except ValueError as error:
        raise _RefusedError(_text(422, f"invalid manifest: {error}")) from error
    if not isinstance(manifest, list) or not manifest:
        raise _RefusedError(_text(422, "invalid manifest: manifest is empty"))
    return manifest


def _json(body: Any) -> web.Response:
    data = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(body=data, headers={"Content-Type": _JSON})


def _message(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", content_type="text/plain")
