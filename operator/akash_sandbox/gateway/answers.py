"""Answers in the words and types of a real gateway."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

Json = dict[str, Any]

_JSON = "application/json; charset=UTF-8"
# Go's words for what Python's parser calls differently.
_EXPECTED = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after object key:value pair",
    "Expecting value": "looking for beginning of value",
    "Extra data": "after top-level value",
}


class RefusedError(Exception):
    """A request that ends with this answer."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def answer(body: Any) -> web.Response:
    """Return 200 with a JSON value."""
    data = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(body=data, headers={"Content-Type": _JSON})


def message(status: int, words: str) -> web.Response:
    """Return a refusal of the authorisation: JSON with a message."""
    data = json.dumps({"message": words}, separators=(",", ":")).encode()
    return web.Response(status=status, body=data, headers={"Content-Type": "application/json"})


def text(status: int, words: str) -> web.Response:
    """Return a line of text, as Go's http.Error does."""
    return web.Response(status=status, text=f"{words}\n", content_type="text/plain")


def empty(status: int) -> web.Response:
    return web.Response(status=status)


def number(request: web.Request, name: str) -> str:
    """Return a number of the path; raises RefusedError (400)."""
    found = request.match_info[name]
    if not found.isascii() or not found.isdigit():
        problem = f'strconv.ParseUint: parsing "{found}": invalid syntax'
        raise RefusedError(text(400, problem))
    return found


def parsed(data: bytes) -> Any:
    """Return a JSON value; raises RefusedError (422) in the words of Go's parser."""
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        raise RefusedError(text(422, _problem(error))) from error
    except ValueError as error:
        raise RefusedError(text(422, f"invalid manifest: {error}")) from error


def _problem(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc):
        return "unexpected end of JSON input"
    expected = _EXPECTED.get(error.msg, "looking for beginning of value")
    return f"invalid character {error.doc[error.pos]!r} {expected}"
