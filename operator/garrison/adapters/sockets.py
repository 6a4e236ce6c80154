"""Sockets of HTTP clients: they say goodbye in TLS after their session was closed, or why there is none."""

from __future__ import annotations

import asyncio
import socket
import time

import aiohttp

GOODBYE_SECONDS = 1.0
_LOOK_SECONDS = 0.005


def cause(error: Exception) -> str:
    """Return why a request failed, in the same words each time.

    aiohttp's own text of a failed connection shows the repr of a TLS context.
    """
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {error.host}:{error.port}: {error.os_error}"
    return str(error)


class Sockets:
    """A socket factory for ``aiohttp.TCPConnector`` that knows when all have gone."""

    def __init__(self) -> None:
        self._opened: list[socket.socket] = []

    def __call__(self, address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, *_ = address
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        self._opened = [each for each in self._opened if each.fileno() != -1]
        self._opened.append(opened)
        return opened

    async def gone(self) -> None:
        """Wait until every socket is closed, a second at most: for programs that end right after."""
        until = time.monotonic() + GOODBYE_SECONDS
        while any(each.fileno() != -1 for each in self._opened) and time.monotonic() < until:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(_LOOK_SECONDS)
