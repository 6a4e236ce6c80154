"""What answers in a container's place when its provider wants that: own TLS, plain HTTP, old bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

_CHUNK = 64 * 1024
_IDLE_SECONDS = 60.0
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    b"Connection: close\r\n\r\n{}"
)

Kept = Callable[[bytes], None]


async def answer_http(caller: socket.socket, kept: Kept, tls: ssl.SSLContext | None) -> None:
    """Say 200 to whatever is asked, after a TLS handshake where ``tls`` is given.

    ``kept`` gets what the caller sends, decrypted as far as it can be.
    """
    try:
        reader, writer = await _streams(caller, tls)
    except OSError:
        return  # The caller did not like the certificate.
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_IDLE_SECONDS):
            kept(await reader.read(_CHUNK))
            writer.write(_ANSWER)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def answer_stale(caller: socket.socket, kept: Kept, recorded: bytes) -> None:
    """Answer the first words of a caller with what another one was answered."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_IDLE_SECONDS):
            kept(await loop.sock_recv(caller, _CHUNK))
            await loop.sock_sendall(caller, recorded)
            while data := await loop.sock_recv(caller, _CHUNK):
                kept(data)


async def _streams(
    caller: socket.socket, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    # The transport closes what it is given; the caller's end stays the caller's.
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, caller.dup(), ssl=tls)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
