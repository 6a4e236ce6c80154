"""Transactions: simulated, broadcast, looked up."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from akash_proto.tx import tx_hash
from akash_sandbox.chain import result
from akash_sandbox.chain.chain import Chain, View
from akash_sandbox.chain.executor import SimulationError
from akash_sandbox.chain.refused import mempool_full
from akash_sandbox.chain.rest.answers import INVALID, NOT_FOUND, UNKNOWN, QueryError, answer
from akash_sandbox.chain.rest.node import NodeQueries
from akash_sandbox.chain.result import Result
from akash_sandbox.faults import Faults
from akash_sandbox.market.refusal import RefusalError

Json = dict[str, Any]

_TXS = "/cosmos/tx/v1beta1/txs"
_HASH = re.compile(r"[0-9A-Fa-f]{64}")
_SENDER = re.compile(r"message\.sender\s*=\s*'([^']*)'")
_HEIGHT = re.compile(r"tx\.height\s*=\s*'?(\d+)'?")
_DEFAULT_LIMIT = 100
_DECODED_GAS = 1174
_WHERE = "[/build/cosmos-sdk/baseapp/baseapp.go:1051]"


class Txs:
    """The handlers of one node."""

    def __init__(
        self,
        chain: Chain,
        node: str,
        *,
        faults: Callable[[], Faults],
        view: Callable[[], View],
        indexed: Callable[[Result], bool],
        blocks: NodeQueries,
    ) -> None:
        self._chain = chain
        self._node = node
        self._faults = faults
        self._view = view
        self._indexed = indexed
        self._blocks = blocks

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/cosmos/tx/v1beta1/simulate", self._simulate),
            web.post(_TXS, self._broadcast),
            web.get(_TXS, self._search),
            web.get(f"{_TXS}/block/{{height}}", self._block),
            web.get(f"{_TXS}/{{hash}}", self._tx),
        ]

    async def _simulate(self, request: web.Request) -> web.Response:
        raw = await _tx_bytes(request)
        try:
            return answer(self._chain.simulate(raw))
        except SimulationError as failed:
            used = failed.used or _DECODED_GAS
            raise QueryError(UNKNOWN, f"{failed} {_WHERE} with gas used: '{used}'") from failed
        except RefusalError as refused:
            text = f"{refused} {_WHERE} with gas used: '{_DECODED_GAS}'"
            raise QueryError(UNKNOWN, text) from refused

    async def _broadcast(self, request: web.Request) -> web.Response:
        raw = await _tx_bytes(request)
        hash_ = tx_hash(raw)
        try:
            if self._faults().node(self._node).mempool_full:
                raise mempool_full()
            self._chain.broadcast(raw)
        except RefusalError as refused:
            body = result.refusal(hash_, refused.codespace, refused.code, str(refused))
            return answer({"tx_response": body})
        return answer({"tx_response": result.refusal(hash_)})

    async def _tx(self, request: web.Request) -> web.Response:
        hash_ = request.match_info["hash"]
        if not _HASH.fullmatch(hash_):
            raise QueryError(INVALID, f"invalid tx hash: {hash_[:100]}")
        found = self._chain.results.get(hash_.upper())
        if found is None or not self._seen(found) or self._faults().take_forget(self._node):
            raise QueryError(NOT_FOUND, f"tx not found: {hash_.upper()}")
        return answer({"tx": _inner(found), "tx_response": found.body})

    async def _search(self, request: web.Request) -> web.Response:
        query = request.query.get("query") or request.query.get("events", "")
        sender, height = _SENDER.search(query), _HEIGHT.search(query)
        if sender is None and height is None:
            raise QueryError(INVALID, "must declare at least one event to search: invalid request")
        found = [
            r
            for r in self._chain.results.values()
            if self._seen(r)
            and (sender is None or sender[1] in r.senders)
            and (height is None or int(height[1]) == r.height)
        ]
        if request.query.get("order_by") == "ORDER_BY_DESC":
            found.reverse()
        limit, at = (_number(request, "limit") or _DEFAULT_LIMIT, _number(request, "page") or 1)
        shown = found[(at - 1) * limit : at * limit]
        body = {
            "txs": [_inner(r) for r in shown],
            "tx_responses": [r.body for r in shown],
            "pagination": None,
            "total": str(len(found)),
        }
        return answer(body)

    async def _block(self, request: web.Request) -> web.Response:
        text, newest = request.match_info["height"], self._view().moment.height
        height = int(text) if text.isascii() and text.isdigit() else 0
        if not 1 <= height <= newest:
            raise QueryError(
                INVALID, "requested height must be between 1 and the newest: invalid height"
            )
        found = [r for r in self._chain.results.values() if r.height == height]
        body = {
            "txs": [_inner(r) for r in found],
            **self._blocks.block(height),
            "pagination": {"next_key": None, "total": str(len(found))},
        }
        return answer(body)

    def _seen(self, found: Result) -> bool:
        """Return whether this node's index has a transaction by now."""
        return found.height <= self._view().moment.height and self._indexed(found)


def _inner(found: Result) -> Json:
    return {name: part for name, part in found.body["tx"].items() if name != "@type"}


async def _tx_bytes(request: web.Request) -> bytes:
    """Return the transaction of a body; raises QueryError (400)."""
    try:
        return base64.b64decode(json.loads(await request.read())["tx_bytes"], validate=True)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise QueryError(INVALID, f"invalid request body: {error}") from error


def _number(request: web.Request, name: str) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0
