"""The admin API's part for the chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from aiohttp import web
from pydantic import RootModel, TypeAdapter

from akash_sandbox.admin import bodies
from akash_sandbox.admin.views import chain
from akash_sandbox.faults import NodeFault
from akash_sandbox.venue import Venue

Done = Callable[[], Awaitable[web.Response]]

_CHANGE = TypeAdapter(bodies.NodeChange)
_GAS = TypeAdapter(bodies.Gas)
_HALT = TypeAdapter(bodies.Halt)
_BALANCE = TypeAdapter(bodies.Balance)


class UnknownNodeError(Exception):
    """The node named in a request does not exist."""


class ChainAdmin:
    """The handlers; ``done`` puts a change into effect and answers."""

    def __init__(self, venue: Venue, done: Done) -> None:
        self._venue = venue
        self._done = done

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v1/chain", self._show),
            web.put("/v1/chain/nodes/{name}", self._node),
            web.put("/v1/chain/gas", self._gas),
            web.put("/v1/chain/halt", self._halt),
            web.put("/v1/chain/balances/{address}", self._balance),
        ]

    async def _show(self, _request: web.Request) -> web.Response:
        await self._venue.tick()
        body = RootModel[Any](chain(self._venue)).model_dump_json()
        return web.Response(body=body, content_type="application/json")

    async def _node(self, request: web.Request) -> web.Response:
        asked = _CHANGE.validate_json(await request.read())
        name = request.match_info["name"]
        if name not in self._venue.nodes:
            raise UnknownNodeError(
                f"no node {name!r} here; there are {', '.join(self._venue.nodes)}"
            )
        faults = self._venue.faults
        faults.set_node(name, _changed(faults.node(name), asked))
        self._venue.apply_chain_faults()
        return await self._done()

    async def _gas(self, request: web.Request) -> web.Response:
        self._venue.faults.set_gas_percent(_GAS.validate_json(await request.read()).percent)
        self._venue.apply_chain_faults()
        return await self._done()

    async def _halt(self, request: web.Request) -> web.Response:
        now = self._venue.now()
        if _HALT.validate_json(await request.read()).halted:
            self._venue.chain.halt(now)
        else:
            self._venue.chain.resume(now)
        return await self._done()

    async def _balance(self, request: web.Request) -> web.Response:
        asked = _BALANCE.validate_json(await request.read())
        self._venue.set_balance(request.match_info["address"], asked.denom, asked.amount)
        return await self._done()


def _changed(fault: NodeFault, asked: bodies.NodeChange) -> NodeFault:
    if asked.mempool_full is not None:
        fault = replace(fault, mempool_full=asked.mempool_full)
    if asked.lag_blocks is not None:
        fault = replace(fault, lag_blocks=asked.lag_blocks)
    if asked.garbled is not None:
        left = asked.garbled_count if asked.garbled else None
        fault = replace(fault, garbled=asked.garbled, garbled_left=left)
    if asked.forgets is not None:
        fault = replace(fault, forgets_left=asked.forgets)
    return fault
