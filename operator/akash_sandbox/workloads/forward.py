"""An external port of the sandbox that leads to a port of a container."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from akash_sandbox.workloads.traffic import Line, relay, reset

_BACKLOG = 512
_DIAL_SECONDS = 10.0

Dial = Callable[[], Awaitable[socket.socket]]


class Forward:
    """Listens while there is something to lead to; else the port is held but refuses."""

    def __init__(self, host: str, port: int, there: Line, back: Line) -> None:
        self._address = (host, port)
        self._there = there
        self._back = back
        self._held: socket.socket | None = None
        self._listener: socket.socket | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def hold(self) -> None:
        """Keep the port from others without listening, as far as it is free."""
        if self._held is None:
            with contextlib.suppress(OSError):
                self._held = _bound(self._address)

    def open(self, dial: Dial) -> None:
        """Listen, and connect each caller with what ``dial`` returns; raises OSError."""
        self._let_go()
        listener = _bound(self._address)
        listener.listen(_BACKLOG)
        asyncio.get_running_loop().add_reader(listener, self._accept, listener, dial)
        self._listener = listener

    async def shut(self) -> None:
        """Break every connection and refuse new ones; the port stays held."""
        listener, self._listener = self._listener, None
        if listener is not None:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        await self.sever()
        self.hold()

    async def sever(self) -> None:
        """Break every connection; new ones are taken as before."""
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Break every connection and give the port back."""
        await self.shut()
        self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def _accept(self, listener: socket.socket, dial: Dial) -> None:
        try:
            caller, _ = listener.accept()
        except OSError:
            # Gone again, or out of descriptors: the caller stays in the queue for the next time.
            return
        task = asyncio.create_task(self._connect(caller, dial))
        self._connections.add(task)
        task.add_done_callback(partial(self._ended, caller))

    def _ended(self, caller: socket.socket, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        # A task that is cancelled before its first step has not closed it.
        caller.close()

    async def _connect(self, caller: socket.socket, dial: Dial) -> None:
        caller.setblocking(False)
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                inside = await dial()
        except OSError:
            reset(caller)
            return
        except BaseException:
            reset(caller)
            raise
        for each in (caller, inside):
            if each.family != socket.AF_UNIX:
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await relay(caller, inside, self._there, self._back)


def _bound(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setblocking(False)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
