"""The admin API's application: looking, and switching faults on and off."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Middleware
from pydantic import RootModel, TypeAdapter, ValidationError

from akash_sandbox.admin import bodies
from akash_sandbox.admin.chain import ChainAdmin, UnknownNodeError
from akash_sandbox.admin.hostility import HostilityAdmin
from akash_sandbox.admin.views import info, leases, providers
from akash_sandbox.faults import CONSOLE
from akash_sandbox.gateway.fleet import Fleet
from akash_sandbox.market import refusal
from akash_sandbox.market.lease import CloseReason, LeaseKey
from akash_sandbox.market.provider import Provider
from akash_sandbox.market.refusal import RefusalError
from akash_sandbox.venue import Venue

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_T = TypeVar("_T")

_LEASE = "/v1/leases/{dseq}/{gseq:\\d+}/{oseq:\\d+}"
_REASONS = {
    "owner": CloseReason.OWNER,
    "unstable": CloseReason.UNSTABLE,
    "decommission": CloseReason.DECOMMISSION,
    "unspecified": CloseReason.UNSPECIFIED,
    "manifest_timeout": CloseReason.MANIFEST_TIMEOUT,
    "insufficient_funds": CloseReason.INSUFFICIENT_FUNDS,
}


class Admin:
    """The handlers. Every change is on disk and in force when its answer goes out."""

    def __init__(self, venue: Venue, fleet: Fleet, console_url: str) -> None:
        self._venue = venue
        self._fleet = fleet
        self._console_url = console_url

    def app(self) -> web.Application:
        """Return the admin API."""
        app = web.Application(middlewares=[_authenticating(self._venue.admin_token), _answering])
        app.add_routes(
            [
                web.get("/v1/info", self._info),
                web.get("/v1/providers", self._providers),
                web.get("/v1/leases", self._leases),
                web.get("/v1/faults", self._faults),
                web.delete("/v1/faults", self._clear),
                web.post("/v1/providers/{name}/kill", self._kill),
                web.post("/v1/providers/{name}/revive", self._revive),
                web.put("/v1/providers/{name}/network", self._network),
                web.put("/v1/providers/{name}/hardware", self._hardware),
                web.put("/v1/bidding", self._bidding),
                web.put("/v1/http/{scope}/errors", self._errors),
                web.put("/v1/http/{scope}/hang", self._hang),
                web.put("/v1/http/{scope}/drops", self._drops),
                web.post(f"{_LEASE}/close", self._close),
                web.post(f"{_LEASE}/reclaim", self._reclaim),
                web.post(f"{_LEASE}/restart", self._restart),
            ]
        )
        app.add_routes(ChainAdmin(self._venue, self._done).routes())
        hostile = HostilityAdmin(
            self._venue,
            done=self._done,
            named=lambda name: self._known(name).name,
            key=self._key,
        )
        app.add_routes(hostile.routes(_LEASE))
        return app

    async def _info(self, _request: web.Request) -> web.Response:
        return _json(info(self._venue, self._console_url))

    async def _providers(self, _request: web.Request) -> web.Response:
        return _json(providers(self._venue))

    async def _leases(self, _request: web.Request) -> web.Response:
        await self._venue.advance()
        return _json(leases(self._venue))

    async def _faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._venue.faults.as_json())

    async def _clear(self, _request: web.Request) -> web.Response:
        self._venue.faults.clear()
        self._venue.apply_chain_faults()
        self._venue.chain.resume(self._venue.now())
        return await self._done()

    async def _kill(self, request: web.Request) -> web.Response:
        return await self._change(request, dead=True)

    async def _revive(self, request: web.Request) -> web.Response:
        return await self._change(request, dead=False)

    async def _network(self, request: web.Request) -> web.Response:
        asked = await _body(request, bodies.Network)
        return await self._change(
            request, latency_ms=asked.latency_ms, bytes_per_second=asked.bytes_per_second
        )

    async def _hardware(self, request: web.Request) -> web.Response:
        asked = await _body(request, bodies.Hardware)
        return await self._change(request, slowdown=asked.slowdown)

    async def _bidding(self, request: web.Request) -> web.Response:
        asked = await _body(request, bodies.Bidding)
        faults = self._venue.faults
        if asked.provider:
            name = self._known(asked.provider).name
            faults.set_provider(name, replace(faults.provider(name), silent=asked.silent))
        else:
            faults.set_no_bids(asked.silent)
        return await self._done()

    async def _errors(self, request: web.Request) -> web.Response:
        asked = await _body(request, bodies.Errors)
        left = asked.count if asked.status else None
        return await self._http(
            request,
            status=asked.status,
            errors_left=left,
            path=asked.path,
            retry_after=asked.retry_after,
        )

    async def _hang(self, request: web.Request) -> web.Response:
        asked = await _body(request, bodies.Hang)
        return await self._http(request, hang_seconds=asked.seconds)

    async def _drops(self, request: web.Request) -> web.Response:
        asked = await _body(request, bodies.Drops)
        return await self._http(request, drops_left=asked.count)

    async def _close(self, request: web.Request) -> web.Response:
        reason = _REASONS[(await _body(request, bodies.LeaseClose)).reason]
        key, now = self._key(request), self._venue.now()
        match reason:
            case CloseReason.OWNER:
                self._venue.tenant.close_lease(now, key)
            case CloseReason.INSUFFICIENT_FUNDS:
                self._venue.providing.exhaust(now, key.owner, key.dseq)
            case _:
                self._venue.providing.end(now, key, reason)
        return await self._done()

    async def _reclaim(self, request: web.Request) -> web.Response:
        asked = await _body(request, bodies.ReclaimNotice)
        self._venue.providing.start_reclaim(self._venue.now(), self._key(request), asked.seconds)
        return await self._done()

    async def _restart(self, request: web.Request) -> web.Response:
        key = self._key(request)
        for placed in list(self._venue.placed()):
            if placed.key == key:
                await self._venue.workloads.restart(placed.ask.id)
        return await self._done()

    async def _change(self, request: web.Request, **changes: Any) -> web.Response:
        name = self._known(request.match_info["name"]).name
        faults = self._venue.faults
        faults.set_provider(name, replace(faults.provider(name), **changes))
        return await self._done()

    async def _http(self, request: web.Request, **changes: Any) -> web.Response:
        scope = request.match_info["scope"]
        if scope != CONSOLE and scope not in self._venue.nodes:
            scope = self._known(scope).name
        faults = self._venue.faults
        faults.set_http(scope, replace(faults.http(scope), **changes))
        return await self._done()

    async def _done(self) -> web.Response:
        await self._venue.advance()
        await self._fleet.sync()
        return web.Response(status=204)

    def _known(self, name: str) -> Provider:
        found = self._venue.provider(name)
        if found is None:
            names = ", ".join(p.name for p in self._venue.book.providers.values())
            raise _UnknownError(f"no provider {name!r} here; there are {names}")
        return found

    def _key(self, request: web.Request) -> LeaseKey:
        """Return the key of the lease in the path; raises RefusalError or _UnknownError."""
        path = request.match_info
        named = (d for d in self._venue.book.deployments.values() if d.dseq == path["dseq"])
        found = next(named, None)
        if found is None:
            raise refusal.deployment_not_found()
        lease = found.lease(int(path["gseq"]), int(path["oseq"]))
        if lease is None:
            raise _UnknownError(
                f"deployment {found.dseq} has no lease {path['gseq']}/{path['oseq']}"
            )
        return found.key(lease)


class _UnknownError(Exception):
    """Something named in the request does not exist."""


@web.middleware
async def _answering(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RefusalError as refused:
        return web.json_response({"message": str(refused)}, status=refused.status)
    except (_UnknownError, UnknownNodeError) as error:
        return web.json_response({"message": str(error)}, status=404)
    except ValidationError as error:
        issues = "; ".join(f"{'.'.join(map(str, i['loc']))}: {i['msg']}" for i in error.errors())
        return web.json_response({"message": issues}, status=400)


def _authenticating(token: str) -> Middleware:
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, expected):
            message = "give the content of the data folder's file admin-token as a bearer token"
            return web.json_response({"message": message}, status=401)
        return await handler(request)

    return middleware


async def _body(request: web.Request, shape: type[_T]) -> _T:
    return TypeAdapter(shape).validate_json(await request.read())


def _json(value: Any) -> web.Response:
    return web.Response(
        body=RootModel[Any](value).model_dump_json(), content_type="application/json"
    )
