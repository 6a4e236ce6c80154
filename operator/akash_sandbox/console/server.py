"""The Console's application: routes, keys, limits and error answers."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from akash_sandbox.console.catalog import Catalog
from akash_sandbox.console.deployments import Deployments
from akash_sandbox.console.problem import ProblemError
from akash_sandbox.console.wallet import Wallet
from akash_sandbox.faults import CONSOLE
from akash_sandbox.market.refusal import RefusalError
from akash_sandbox.misbehaviour import misbehaving
from akash_sandbox.rate import RateLimit
from akash_sandbox.venue import Venue

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PUBLIC = ("/v1/providers", "/akash/")


def console_app(venue: Venue) -> web.Application:
    """Return the Console API of a market."""
    limit = RateLimit(venue.settings.requests_per_second)
    app = web.Application(
        middlewares=[
            misbehaving(venue, CONSOLE),
            _answering,
            _limiting(limit),
            _authenticating(venue.api_key),
            _advancing(venue),
        ]
    )
    for handlers in (Deployments(venue), Catalog(venue), Wallet(venue)):
        app.add_routes(handlers.routes())
    return app


@web.middleware
async def _answering(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ProblemError as problem:
        return problem.response()
    except RefusalError as refused:
        return ProblemError(refused.status, str(refused)).response()
    except web.HTTPException as error:
        return ProblemError(error.status, error.reason).response()


def _limiting(limit: RateLimit) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if limit.admits():
            return await handler(request)
        response = ProblemError(429, "Too many requests, please try again later.").response()
        response.headers["Retry-After"] = "1"
        return response

    return middleware


def _authenticating(api_key: str) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(_PUBLIC):
            _check_key(request, api_key)
        return await handler(request)

    return middleware


def _check_key(request: web.Request, api_key: str) -> None:
    given = request.headers.get("x-api-key")
    if given is not None and "Authorization" in request.headers:
        raise ProblemError(400, "Send either x-api-key or Authorization, not both")
    if given is None or not hmac.compare_digest(given.encode(), api_key.encode()):
        raise ProblemError(401, "Unauthorized" if given is None else "Invalid API key")


def _advancing(venue: Venue) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        await venue.advance()
        return await handler(request)

    return middleware
