"""A node's REST interface for tests: recorded bodies, a chain that moves with the clock, and faults."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import aiohttp
from aiohttp import web

from garrison.adapters.akash.chain.node import HEIGHT_HEADER, Node
from garrison.adapters.akash.chain.nodes import LATEST, Nodes
from garrison.adapters.net.screen import Lookup, NetScreen
from garrison.adapters.system import SystemClock
from tests.unit.adapters.serving import Handler, serve_handler

Answer: TypeAlias = tuple[int, Any] | Handler
PATIENCE, IMPATIENCE = 15.0, 0.5
"""Seconds for an answer, and for one that will not come."""


class NodeDouble:
    """Answers by path. ``answers`` maps a path (with or without query) to status and body."""

    def __init__(self, *, height: int = 1000, chain_id: str = "local") -> None:
        self.height = height
        self.chain_id = chain_id
        self.age = timedelta(0)
        self.told_height: int | None = None
        self.answers: dict[str, Answer] = {}
        self.everything: Handler | None = None
        self.asked: list[str] = []
        self.patience = PATIENCE

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return sum(each.partition("?")[0] == path for each in self.asked)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if self.everything is not None:
            return await self.everything(request)
        found = self.answers.get(request.path_qs, self.answers.get(request.path))
        if found is None and request.path == LATEST:
            found = (200, self.block(self.height))
        match found:
            case None:
                return _json(404, {"code": 5, "message": "not found", "details": []}, None)
            case (int(), _) as pair:
                return _json(pair[0], pair[1], self.told_height)
            case handler:
                return await handler(request)

    def block(self, height: int, time: datetime | None = None) -> dict[str, Any]:
        """Return a block's body."""
        moment = (time or datetime.now(UTC)) - self.age
        header = {
            "chain_id": self.chain_id,
            "height": str(height),
            "time": moment.isoformat().replace("+00:00", "Z"),
        }
        return {"block": {"header": header}}


def _json(status: int, body: Any, height: int | None) -> web.Response:
    headers = {} if height is None else {HEIGHT_HEADER: str(height)}
    return web.Response(
        status=status, text=json.dumps(body), content_type="application/json", headers=headers
    )


def node_at(url: str, patience: float = PATIENCE, *, lookup: Lookup | None = None) -> Node:
    """Return a client of a node at a URL."""
    timeout = aiohttp.ClientTimeout(total=patience)
    screen = NetScreen(lookup=lookup)
    return Node(url=url, screen=screen, context=ssl.create_default_context(), timeout=timeout)


@asynccontextmanager
async def nodes_of(*doubles: NodeDouble, chain_id: str | None = "local") -> AsyncIterator[Nodes]:
    """Serve the doubles; yields the nodes over them, in their order."""
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(serve_handler(each.handle)) for each in doubles]
        nodes = Nodes(
            nodes=[
                node_at(f"http://127.0.0.1:{port}", double.patience)
                for port, double in zip(ports, doubles, strict=True)
            ],
            chain_id=chain_id,
            clock=SystemClock(),
        )
        stack.push_async_callback(nodes.close)
        yield nodes
