"""A server's faults as middleware: hanging, failing, being slow, swallowing answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from akash_sandbox.faults import HttpFault
from akash_sandbox.venue import Venue

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def misbehaving(venue: Venue, scope: str) -> Middleware:
    """Return a middleware that makes one server suffer the faults switched on for it."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        await _keep(venue, scope, request)
        fault = venue.faults.http(scope)
        latency = venue.faults.provider(scope).latency_ms
        await asyncio.sleep(fault.hang_seconds + latency / 1000)
        failing = venue.faults.take_error(scope, request.path)
        if failing is not None:
            await venue.commit()
            return _failure(failing)
        response = await handler(request)
        if _is_write(request) and response.status < 400 and venue.faults.take_drop(scope):
            await venue.commit()
            _cut(request)
        return response

    return middleware


def _failure(fault: HttpFault) -> web.Response:
    response = web.json_response({"message": "fault switched on by request"}, status=fault.status)
    if fault.retry_after is not None and fault.status in {429, 503}:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


async def _keep(venue: Venue, scope: str, request: web.Request) -> None:
    """Keep what was received, where the server's owner reads it."""
    if venue.faults.hostility(scope).reads:
        line = f"{request.method} {request.raw_path}"
        venue.seen.request(scope, line, request.headers, await request.read())


def _is_write(request: web.Request) -> bool:
    """Return whether a request changes something; a simulation is sent like one, but does not."""
    return request.method != "GET" and not request.path.endswith("/simulate")


def _cut(request: web.Request) -> None:
    """Drop the connection, so that the client never learns what happened."""
    if request.transport is not None:
        request.transport.abort()
