"""A proxy in front of a node that can lose the answer to a transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from tests.unit.adapters.serving import serve_handler

TXS = "/cosmos/tx/v1beta1/txs"
_FORWARDED = ("Content-Type", "Grpc-Metadata-X-Cosmos-Block-Height")


class LossyProxy:
    """Hands everything on. Armed, it drops the connection once a transaction was handed on."""

    def __init__(self, target: str) -> None:
        self.armed = False
        self.url = ""
        self._target = target

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve on loopback."""
        async with aiohttp.ClientSession(auto_decompress=False) as session:

            async def handler(request: web.Request) -> web.StreamResponse:
                return await self._handle(session, request)

            async with serve_handler(handler) as port:
                self.url = f"http://127.0.0.1:{port}"
                yield

    async def _handle(
        self, session: aiohttp.ClientSession, request: web.Request
    ) -> web.StreamResponse:
        body = await request.read()
        async with session.request(
            request.method,
            f"{self._target}{request.path_qs}",
            data=body or None,
            headers={"content-type": request.content_type} if body else {},
        ) as answer:
            raw = await answer.read()
        if self.armed and request.method == "POST" and request.path == TXS:
            self.armed = False
            if request.transport is not None:
                request.transport.abort()
        headers = {name: answer.headers[name] for name in _FORWARDED if name in answer.headers}
        return web.Response(status=answer.status, body=raw, headers=headers)
