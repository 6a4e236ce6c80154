"""A model server to benchmark: how it behaves is chosen per test."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass(slots=True, kw_only=True)
class ModelServer:
    """``tokens`` is how many it sends at most; ``usage`` overrides what it reports."""

    tokens: int = 1000
    pause: float = 0.002
    chat: bool = True
    knows_ignore_eos: bool = True
    usage: int | None = None
    reports_usage: bool = True
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/v1/completions", self.complete)
        if self.chat:
            app.router.add_post("/v1/chat/completions", self.complete)
        return app

    async def models(self, _request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "acme/small"}]})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if "ignore_eos" in body and not self.knows_ignore_eos:
            return web.json_response({"error": "unknown field ignore_eos"}, status=400)
        self.bodies.append(body)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        count = min(self.tokens, body["max_tokens"])
        for number in range(count):
            await self._send(response, {"choices": [{"delta": {"content": f"w{number} "}}]})
            await asyncio.sleep(self.pause)
        if self.reports_usage:
            reported = count if self.usage is None else self.usage
            await self._send(response, {"choices": [], "usage": {"completion_tokens": reported}})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _send(self, response: web.StreamResponse, event: dict[str, Any]) -> None:
        await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
