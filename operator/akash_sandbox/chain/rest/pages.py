"""Pages of lists, with the customs of the chain's own modules and of the SDK's."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from akash_sandbox.chain.rest.answers import INVALID, QueryError

Json = dict[str, Any]
_T = TypeVar("_T")

_DEFAULT_LIMIT = 100


def page(
    query: Mapping[str, str], found: Sequence[_T], show: Callable[[_T], Json], name: str
) -> Json:
    """Return a page of a list; ``total`` is what is on the page, unless it is asked to be counted.

    The key of the next page is opaque; with one, the list starts there whatever else is asked.
    """
    ordered = list(reversed(found)) if query.get("pagination.reverse") == "true" else list(found)
    start, limit = _start(query), _number(query, "pagination.limit") or _DEFAULT_LIMIT
    shown = ordered[start : start + limit]
    more = start + limit < len(ordered)
    counted = query.get("pagination.count_total") == "true"
    return {
        name: [show(each) for each in shown],
        "pagination": {
            "next_key": _key(start + limit) if more else None,
            "total": str(len(ordered) if counted else len(shown)),
        },
    }


def single(body: Json, total: int = 0) -> Json:
    """Return a list that the SDK gives whole, without counting."""
    return {**body, "pagination": {"next_key": None, "total": str(total)}}


def has_offset(query: Mapping[str, str]) -> bool:
    return _number(query, "pagination.offset") > 0


def _start(query: Mapping[str, str]) -> int:
    key = query.get("pagination.key")
    if not key:
        return _number(query, "pagination.offset")
    try:
        place = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise QueryError(INVALID, f"illegal base64 data: {key[:100]}") from None
    text = place.rpartition(b"/")[2]
    if not text.isdigit():
        raise QueryError(INVALID, "invalid pagination key")
    return int(text)


def _key(start: int) -> str:
    return base64.b64encode(b"page/%d" % start).decode()


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise QueryError(
            INVALID, f'type mismatch, parameter: {name}, error: parsing "{text}": invalid syntax'
        )
    return int(text)
