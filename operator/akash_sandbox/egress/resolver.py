"""A resolver that knows a handful of names (RFC 1035), over UDP and TCP."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import cast

from akash_sandbox import netns

Address = IPv4Address | IPv6Address

TTL_SECONDS = 5
_PORT = 53
_HEADER = struct.Struct("!6H")
_TAIL = struct.Struct("!2H")
_RECORD = struct.Struct("!3HIH")
_IN, _A, _AAAA = 1, 1, 28
_RESPONSE, _OPCODE, _WISHED, _TRUNCATED = 0x8000, 0x7800, 0x0100, 0x0200
_ANSWER = 0x8480
"""A response, authoritative, with recursion available."""
_FORMAT_ERROR, _NO_SUCH_NAME, _NOT_IMPLEMENTED = 1, 3, 4
_GREATEST_DATAGRAM = 512
_GREATEST_LABEL = 63
_NAME_OF_QUESTION = 0xC00C
"""A pointer to the name right behind the header."""


def answer(query: bytes, names: Mapping[str, Sequence[Address]]) -> bytes:
    """Return the answer to a query, empty when it is not one."""
    if len(query) < _HEADER.size:
        return b""
    id_, flags, questions, *_ = _HEADER.unpack_from(query)
    if flags & _RESPONSE:
        return b""
    base = _ANSWER | (flags & _WISHED)
    if flags & _OPCODE:
        return _HEADER.pack(id_, base | _NOT_IMPLEMENTED, 0, 0, 0, 0)
    question = _question(query) if questions == 1 else None
    if question is None:
        return _HEADER.pack(id_, base | _FORMAT_ERROR, 0, 0, 0, 0)
    name, kind, end = question
    known = names.get(name)
    records = _records(known or (), kind)
    code = 0 if known is not None else _NO_SUCH_NAME
    header = _HEADER.pack(id_, base | code, 1, len(records), 0, 0)
    return header + query[_HEADER.size : end] + b"".join(records)


def truncated(message: bytes) -> bytes:
    """Return an answer that fits into a datagram: when it is too long, one that says so."""
    if len(message) <= _GREATEST_DATAGRAM:
        return message
    id_, flags, *_ = _HEADER.unpack_from(message)
    question = _question(message)
    end = question[2] if question else _HEADER.size
    header = _HEADER.pack(id_, flags | _TRUNCATED, 1, 0, 0, 0)
    return header + message[_HEADER.size : end]


def _question(query: bytes) -> tuple[str, int, int] | None:
    """Return name, type and end of the only question, None when it cannot be read."""
    at, labels = _HEADER.size, []
    while at < len(query) and query[at]:
        length = query[at]
        if length > _GREATEST_LABEL:
            return None
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", "replace").lower())
        at += 1 + length
    end = at + 1 + _TAIL.size
    if end > len(query):
        return None
    kind, class_ = _TAIL.unpack_from(query, at + 1)
    return (".".join(labels), kind, end) if class_ == _IN else None


def _records(addresses: Sequence[Address], kind: int) -> list[bytes]:
    version = {_A: 4, _AAAA: 6}.get(kind)
    return [
        _RECORD.pack(_NAME_OF_QUESTION, kind, _IN, TTL_SECONDS, len(each.packed)) + each.packed
        for each in addresses
        if each.version == version
    ]


class Resolver:
    """Answers inside a network namespace while it is open."""

    def __init__(self, names: Mapping[str, Sequence[Address]]) -> None:
        self._names = {name.rstrip(".").lower(): each for name, each in names.items()}
        self._datagrams: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    async def open(self, namespace: Path, host: str) -> None:
        """Listen at an address of the namespace; raises OSError."""
        loop = asyncio.get_running_loop()
        datagrams, streams = await asyncio.to_thread(
            netns.within, namespace, lambda: _sockets(host)
        )
        self._datagrams, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._names), sock=datagrams
        )
        self._server = await asyncio.start_server(self._stream, sock=streams)

    async def close(self) -> None:
        """Stop answering."""
        if self._datagrams is not None:
            self._datagrams.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                message = answer(query, self._names)
                writer.write(len(message).to_bytes(2) + message)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, names: Mapping[str, Sequence[Address]]) -> None:
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an instance of it: Python 3.11's own transport for datagrams does not inherit from it.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = truncated(answer(data, self._names))
        if self._transport is not None and message:
            self._transport.sendto(message, addr)


def _sockets(host: str) -> tuple[socket.socket, socket.socket]:
    made = []
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        each = socket.socket(socket.AF_INET, kind)
        each.setblocking(False)
        each.bind((host, _PORT))
        made.append(each)
    datagrams, streams = made
    return datagrams, streams
