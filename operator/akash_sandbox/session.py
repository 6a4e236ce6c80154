"""A command in a process of its own, with pipes or a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator, Sequence

_CHUNK = 65_536


class ProcessSession:
    """A running command; ``terminal`` is the controlling side of its terminal, None for pipes."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int | None) -> None:
        self._process = process
        self._terminal = terminal

    async def output(self) -> AsyncIterator[tuple[bool, bytes]]:
        """Yield what it writes, with whether that is its standard error."""
        pieces: asyncio.Queue[tuple[bool, bytes] | None] = asyncio.Queue(maxsize=16)
        readers = [asyncio.create_task(self._read(pieces, error)) for error in self._streams()]
        try:
            for _ in readers:
                while (piece := await pieces.get()) is not None:
                    yield piece
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)

    async def feed(self, data: bytes, /) -> None:
        """Write to its standard input; what an ended command would get is dropped."""
        if self._terminal is not None:
            await asyncio.to_thread(os.write, self._terminal, data)
        elif self._process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                self._process.stdin.write(data)
                await self._process.stdin.drain()

    def resize(self, columns: int, rows: int, /) -> None:
        """Change the terminal's size."""
        if self._terminal is not None:
            size = struct.pack("HHHH", rows, columns, 0, 0)
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    async def wait(self) -> int:
        """Return its exit status, 128 plus the number of a signal."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        """End it and all that it started."""
        if self._process.returncode is None:
            # What enters a container is the parent of what runs there; both are of one group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None

    def _streams(self) -> list[bool]:
        return [False] if self._terminal is not None else [False, True]

    async def _read(self, pieces: asyncio.Queue[tuple[bool, bytes] | None], error: bool) -> None:
        while data := await self._next(error):
            await pieces.put((error, data))
        await pieces.put(None)

    async def _next(self, error: bool) -> bytes:
        if self._terminal is not None:
            return await asyncio.to_thread(_read_terminal, self._terminal)
        stream = self._process.stderr if error else self._process.stdout
        return b"" if stream is None else await stream.read(_CHUNK)


async def start(argv: Sequence[str], *, tty: bool) -> ProcessSession:
    """Start a command; raises OSError when it cannot be run."""
    if not tty:
        pipe = asyncio.subprocess.PIPE
        return ProcessSession(
            await asyncio.create_subprocess_exec(
                *argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            ),
            None,
        )
    terminal, inner = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
        )
    except OSError:
        os.close(terminal)
        raise
    finally:
        os.close(inner)
    return ProcessSession(process, terminal)


def _read_terminal(terminal: int) -> bytes:
    """Return what the command wrote, nothing once its side is closed."""
    try:
        return os.read(terminal, _CHUNK)
    except OSError:
        return b""
