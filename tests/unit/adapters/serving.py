"""Small servers on loopback, well-behaved and not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from aiohttp import web

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def serve(app: web.Application, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve an application on loopback; yields the port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=context)
    await site.start()
    try:
        port: int = runner.addresses[0][1]
        yield port
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve_handler(
    handler: Handler, context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve one handler at every path; yields the port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with serve(app, context) as port:
        yield port


def answering(status: int = 200, text: str = "", headers: dict[str, str] | None = None) -> Handler:
    """A handler that always answers the same."""

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers=headers)

    return handler


async def hanging(_request: web.Request) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def resetting(request: web.Request) -> web.StreamResponse:
    """Breaks the connection in the middle of the body."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"{")
    assert request.transport is not None
    request.transport.abort()
    return response


async def flooding(request: web.Request) -> web.StreamResponse:
    """Sends 64 MiB, or until nobody reads any more."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1024):
        if request.transport is None or request.transport.is_closing():
            break
        await response.write(b"x" * 65536)
        await asyncio.sleep(0)
    return response


def closed_port() -> int:
    """Return a port at which nothing listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
