"""One node's REST server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from akash_sandbox.chain.chain import View
from akash_sandbox.chain.rest.answers import UNIMPLEMENTED, QueryError
from akash_sandbox.chain.rest.market import MarketQueries
from akash_sandbox.chain.rest.money import MoneyQueries
from akash_sandbox.chain.rest.node import NodeQueries
from akash_sandbox.chain.rest.records import RecordQueries
from akash_sandbox.chain.rest.txs import Txs
from akash_sandbox.chain.result import Result
from akash_sandbox.misbehaviour import misbehaving
from akash_sandbox.venue import Venue

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PAGE = """<!DOCTYPE html>
<html><head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>
"""


def node_app(venue: Venue, name: str) -> web.Application:
    """Return the application of one node of the market's chain."""
    app = web.Application(
        middlewares=[
            misbehaving(venue, name),
            _garbling(venue, name),
            _advancing(venue),
            _answering,
        ]
    )
    chain = venue.chain

    def view() -> View:
        return chain.view(venue.faults.node(name).lag_blocks)

    def indexed(found: Result) -> bool:
        return found.time + venue.settings.chain.index_lag_seconds <= venue.now()

    def block_time(height: int) -> float:
        return venue.book.blocks.time(height)

    node = NodeQueries(chain.id, name, view, block_time)
    txs = Txs(chain, name, faults=lambda: venue.faults, view=view, indexed=indexed, blocks=node)
    for handlers in (
        MarketQueries(view, venue.book.terms),
        MoneyQueries(view, venue.account.address),
        RecordQueries(view),
        node,
        txs,
    ):
        app.add_routes(handlers.routes())
    return app


@web.middleware
async def _answering(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except QueryError as refused:
        return refused.response()
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return QueryError(UNIMPLEMENTED, "Not Implemented").response()


def _advancing(venue: Venue) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        await venue.tick()
        response = await handler(request)
        if request.method == "POST":
            # What waits in the mempool survives a restart, as a promise given by an answer must.
            await venue.commit()
        return response

    return middleware


def _garbling(venue: Venue, name: str) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        match venue.faults.take_garbled(name):
            case "html":
                return web.Response(status=502, text=_PAGE, content_type="text/html")
            case "truncated" if isinstance(response, web.Response):
                whole = bytes(response.body or b"") if isinstance(response.body, bytes) else b""
                return web.Response(
                    status=response.status,
                    body=whole[: len(whole) // 2],
                    content_type="application/json",
                )
            case _:
                return response

    return middleware
