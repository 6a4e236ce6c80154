"""Bytes between two sockets, as slow as the network is made to be."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

_CHUNK = 64 * 1024
_CHUNKS_PER_SECOND = 20
_GREATEST_QUEUE = 64
_RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True, kw_only=True)
class Line:
    """What every connection of one workload shares in one direction.

    ``delay`` is in seconds; ``rate`` in bytes per second, 0 for as fast as it goes; ``tap`` is told of
    everything that passes.
    """

    delay: float = 0.0
    rate: int = 0
    free_at: float = 0.0
    tap: Callable[[bytes], None] | None = None

    def chunk(self) -> int:
        """Return how much to read at once so that a slow line flows evenly."""
        return max(1, min(_CHUNK, self.rate // _CHUNKS_PER_SECOND)) if self.rate else _CHUNK

    def arrival(self, size: int, now: float) -> float:
        """Return when this many bytes, sent now, have arrived; the line is busy until then."""
        if not self.rate:
            return now + self.delay
        self.free_at = max(now, self.free_at) + size / self.rate
        return self.free_at + self.delay


async def relay(one: socket.socket, other: socket.socket, there: Line, back: Line) -> None:
    """Carry bytes both ways until both sides have ended; the sockets are closed then.

    When a side breaks, or this is cancelled, both peers see a reset; raises nothing of theirs.
    """
    whole = False
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_carry(one, other, there))
            group.create_task(_carry(other, one, back))
        whole = True
    except* OSError:
        pass
    finally:
        for each in (one, other):
            if whole:
                each.close()
            else:
                reset(each)


def reset(connection: socket.socket) -> None:
    """Close a connection so that its peer sees that it broke."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    finally:
        connection.close()


async def _carry(source: socket.socket, target: socket.socket, line: Line) -> None:
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_GREATEST_QUEUE)
    async with asyncio.TaskGroup() as group:
        group.create_task(_read(source, queue, line))
        group.create_task(_write(target, queue))


async def _read(
    source: socket.socket, queue: asyncio.Queue[tuple[float, bytes]], line: Line
) -> None:
    loop = asyncio.get_running_loop()
    data = b"start"
    while data:
        data = await loop.sock_recv(source, line.chunk())
        if line.tap is not None:
            line.tap(data)
        await queue.put((line.arrival(len(data), loop.time()), data))


async def _write(target: socket.socket, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await queue.get()
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)
        if not data:
            target.shutdown(socket.SHUT_WR)
            return
        await loop.sock_sendall(target, data)
