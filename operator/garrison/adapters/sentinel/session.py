"""A command under the guard, over one connection: frames of type, length and payload."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import struct
from collections.abc import AsyncIterator

from garrison.adapters.sentinel.reply import refusal, translated, where_of
from garrison.errors import UnavailableError
from garrison.ports.console import Size, Stream
from garrison.ports.probe import Destination

PROTOCOL = "garrison-shell/1"
STDIN, STDOUT, STDERR, RESIZE, EXIT, END = range(6)
MAX_PAYLOAD = 1 << 16
MAX_HEAD = 1 << 16
OPEN_SECONDS = 15.0
_HEAD = struct.Struct(">BI")
_SIZE = struct.Struct(">HH")


class SentinelSession:
    """Implements ``ports.console.Session``."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._where = where
        self._exit_code: int | None = None

    @classmethod
    async def opened(
        cls, destination: Destination, context: ssl.SSLContext, path: str
    ) -> SentinelSession:
        """Return the session that ``path`` opens. Raises what the sentinel refuses with."""
        where = where_of(destination)
        with translated(where, OPEN_SECONDS):
            async with asyncio.timeout(OPEN_SECONDS):
                reader, writer = await asyncio.open_connection(
                    destination.address, destination.port, ssl=context, limit=MAX_HEAD
                )
                try:
                    writer.write(_request(destination, path))
                    await _accepted(reader, path)
                except BaseException:
                    writer.close()
                    raise
        return cls(reader, writer, where)

    async def send(self, data: bytes) -> None:
        """Write to the command's input."""
        for start in range(0, len(data), MAX_PAYLOAD):
            await self._frame(STDIN, data[start : start + MAX_PAYLOAD])

    async def end_input(self) -> bool:
        """End the command's input."""
        await self._frame(END, b"")
        return True

    async def resize(self, size: Size) -> None:
        """Change the terminal's size."""
        await self._frame(RESIZE, _SIZE.pack(size.rows & 0xFFFF, size.columns & 0xFFFF))

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """Yield what the command writes. Raises UnavailableError when the connection ends first."""
        with translated(self._where, OPEN_SECONDS):
            while True:
                kind, size = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
                if size > MAX_PAYLOAD:
                    raise UnavailableError(f"{self._where}: a frame of {size} bytes")
                payload = await self._reader.readexactly(size)
                if kind == EXIT and payload:
                    self._exit_code = payload[0]
                    return
                if kind in {STDOUT, STDERR}:
                    yield (Stream.OUT if kind == STDOUT else Stream.ERR, payload)

    @property
    def exit_code(self) -> int:
        """Return how the command ended."""
        if self._exit_code is None:
            raise RuntimeError("the command has not ended yet")
        return self._exit_code

    async def close(self) -> None:
        """Close the connection; the sentinel then ends the command."""
        self._writer.transport.abort()  # a goodbye would wait for the other side's
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()

    async def _frame(self, kind: int, payload: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # the command has ended: output says so
            self._writer.write(_HEAD.pack(kind, len(payload)) + payload)
            await self._writer.drain()


def _request(destination: Destination, path: str) -> bytes:
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {destination.host}:{destination.port}",
        "Connection: Upgrade",
        f"Upgrade: {PROTOCOL}",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


async def _accepted(reader: asyncio.StreamReader, path: str) -> None:
    """Read the answer's head; raise the refusal unless it is 101."""
    first, *fields = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    code = first.split(" ")[1] if first.startswith("HTTP/1.1 ") else ""
    if code == "101":
        return
    if not code.isdigit():
        raise UnavailableError("the sentinel's answer is not HTTP")
    length = next((each[15:] for each in fields if each.lower().startswith("content-length:")), "0")
    if not length.strip().isdigit() or int(length) > MAX_HEAD:
        raise UnavailableError(f"the sentinel refuses a shell: {code}")
    answer = json.loads(await reader.readexactly(int(length)) or b"{}")
    raise refusal(int(code), path.partition("?")[0], answer if isinstance(answer, dict) else {})
