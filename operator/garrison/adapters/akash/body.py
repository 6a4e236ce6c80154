"""Answers of the other side: read within bounds, decoded without trust."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any, NoReturn

import aiohttp

LARGE = 1 << 18
"""Answers above this size are decoded beside the event loop."""
_EXCERPT = 300


class BodyError(Exception):
    """The answer is too large, or not JSON."""


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the whole body. Raises BodyError when it is longer than ``limit`` bytes."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(1 << 16):
        size += len(chunk)
        if size > limit:
            raise BodyError(f"the answer is longer than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


async def decode(raw: bytes) -> Any:
    """Return JSON with fractions as Decimal. Raises BodyError."""
    return await asyncio.to_thread(_decode, raw) if len(raw) > LARGE else _decode(raw)


def excerpt(raw: bytes) -> str:
    """Return what an error's body says, short and on one line."""
    try:
        value = _decode(raw)
    except BodyError:
        return _line(raw.decode("utf-8", "replace"))
    if isinstance(value, dict):
        for name in ("message", "error"):
            if isinstance(value.get(name), str):
                return _line(value[name])
    return _line(raw.decode("utf-8", "replace"))


def _decode(raw: bytes) -> Any:
    try:
        # The chain puts the very bytes of addresses into some of its texts.
        text = raw.decode("utf-8", "replace")
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BodyError(f"the answer is not JSON: {error}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _line(text: str) -> str:
    printable = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(printable.split())[:_EXCERPT]
