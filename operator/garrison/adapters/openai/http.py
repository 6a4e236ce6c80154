"""HTTP to a screened address: bounded, no redirects, no compression, one connection per call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

import aiohttp
from yarl import URL

from garrison.ports.probe import Destination

CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where to send requests. ``tls`` None: in the clear."""

    destination: Destination
    tls: SSLContext | None = None


@asynccontextmanager
async def exchange(
    way: Way, path: str, *, timeout_seconds: float, body: Any = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Yield the response to a GET, or to a POST of JSON when there is a body.

    Raises TimeoutError and aiohttp.ClientError; ``timeout_seconds`` covers reading the body too.
    """
    timeout = aiohttp.ClientTimeout(
        total=timeout_seconds, sock_connect=min(CONNECT_SECONDS, timeout_seconds)
    )
    connector = aiohttp.TCPConnector(force_close=True, limit=1)
    async with (
        aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        ) as session,
        session.request(
            "GET" if body is None else "POST",
            _url(way, path),
            json=body,
            headers={"host": _authority(way.destination), "accept-encoding": "identity"},
            ssl=way.tls if way.tls is not None else True,
            allow_redirects=False,
        ) as response,
    ):
        yield response


async def read_some(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body's first ``limit`` bytes."""
    kept = bytearray()
    async for chunk in response.content.iter_any():
        kept += chunk
        if len(kept) >= limit:
            break
    return bytes(kept[:limit])


def _url(way: Way, path: str) -> URL:
    rooted = path if path.startswith("/") else f"/{path}"
    host = way.destination.address
    authority = f"[{host}]" if ":" in host else host
    scheme = "https" if way.tls is not None else "http"
    return URL(f"{scheme}://{authority}:{way.destination.port}{rooted}")


def _authority(destination: Destination) -> str:
    host = destination.host
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{name}:{destination.port}"
