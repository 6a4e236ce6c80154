"""``/healthz``, ``/readyz`` and ``/metrics`` over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest


class Endpoint:
    """Each check returns what is wrong, "" when nothing is."""

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        healthy: Callable[[], str],
        ready: Callable[[], str],
    ) -> None:
        self._registry = registry
        self._healthy = healthy
        self._ready = ready

    def application(self) -> web.Application:
        """Return the routes."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _checked(self._healthy())

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _checked(self._ready())

    async def _metrics(self, _request: web.Request) -> web.Response:
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


def _checked(complaint: str) -> web.Response:
    return web.Response(text=complaint or "ok", status=500 if complaint else 200)


@asynccontextmanager
async def serve(endpoint: Endpoint, host: str, port: int) -> AsyncIterator[int]:
    """Serve until the block ends; yields the port."""
    runner = web.AppRunner(endpoint.application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
