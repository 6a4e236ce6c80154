"""Answers and refusals as grpc-gateway writes them."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from akash_sandbox.chain.accounts import payload

Json = dict[str, Any]

INVALID, NOT_FOUND, UNKNOWN, UNIMPLEMENTED, INTERNAL = 3, 5, 2, 12, 13
_STATUS = {INVALID: 400, NOT_FOUND: 404, UNKNOWN: 500, UNIMPLEMENTED: 501}


class QueryError(Exception):
    """A query that ends with an error; ``code`` is gRPC's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code

    def response(self) -> web.Response:
        """Return the answer."""
        text = json.dumps(str(self), ensure_ascii=False)
        body = f'{{"code":{self.code}, "message":{text}, "details":[]}}'
        return _response(body, _STATUS.get(self.code, 500))


def answer(body: Json) -> web.Response:
    """Return 200 with a JSON object."""
    return _response(json.dumps(body, separators=(",", ":"), ensure_ascii=False), 200)


def not_found(codespace: str, code: int, text: str) -> QueryError:
    return QueryError(NOT_FOUND, f"codespace {codespace} code {code}: {text}")


def account_address(text: str, what: str = "owner") -> str:
    """Return an address; raises QueryError for anything else."""
    if payload(text) is None:
        raise QueryError(INVALID, f"invalid {what} address")
    return text


def _response(body: str, status: int) -> web.Response:
    # Addresses appear as their very bytes in some texts: not every answer is UTF-8.
    return web.Response(
        status=status,
        body=body.encode("utf-8", "surrogateescape"),
        content_type="application/json",
    )
