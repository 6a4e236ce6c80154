"""What stands before a container's ports: nothing, or its provider's hands."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial

from akash_sandbox.hostility import Hostility, StolenBootstrap
from akash_sandbox.workloads.forgery import self_made, server_context
from akash_sandbox.workloads.impostor import answer_http, answer_stale
from akash_sandbox.workloads.traffic import Line, relay
from akash_sandbox.workloads.twin import Twin

_GREATEST_TAPE = 1 << 20

Dial = Callable[[int], Awaitable[socket.socket]]
Keep = Callable[[str, bytes], None]
Victim = Callable[[], StolenBootstrap | None]


class Front:
    """Leads each new connection where the provider wants it.

    ``real`` dials the container, ``keep`` takes what a caller or a container sent, by connection, and
    ``other`` finds the bootstrap of another tenant.
    """

    def __init__(
        self, bootstrap: StolenBootstrap | None, *, real: Dial, keep: Keep, other: Victim
    ) -> None:
        self.hostility = Hostility()
        self.twin: Twin | None = None
        self._bootstrap = bootstrap
        self._real = real
        self._keep = keep
        self._other = other
        self._count = itertools.count(1)
        self._turns = itertools.cycle((False, True))
        self._tape: bytearray | None = None
        self._forged: tuple[str, ssl.SSLContext] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def dial(self, port: int) -> socket.socket:
        """Return a socket connected to whatever is to answer; raises OSError."""
        hostility, name = self.hostility, f"{port}-{next(self._count)}"
        if self._is_control(port) and hostility.cuts_control:
            raise ConnectionRefusedError("the provider cuts the control port")
        if hostility.certificate:
            return self._impostor(name, self._context())
        if hostility.strips_tls and self._is_data(port):
            return self._impostor(name, None)
        if hostility.stale_answers and self._is_control(port):
            return await self._stale(port, name)
        inside = await self._place(port)
        if not hostility.reads and not hostility.delay_seconds:
            return inside
        return self._behind(partial(self._carried, inside, name, hostility.delay_seconds))

    async def close(self) -> None:
        """End every connection that goes through here."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tape = None

    def _is_control(self, port: int) -> bool:
        return self._bootstrap is not None and port == self._bootstrap.control_port

    def _is_data(self, port: int) -> bool:
        return self._bootstrap is None or port == self._bootstrap.data_port

    async def _place(self, port: int) -> socket.socket:
        """The container, or the one beside it or in its stead."""
        twin = self.twin
        if twin is None:
            return await self._real(port)
        turn = self._is_control(port) and next(self._turns)
        if self.hostility.replay == "instead" or turn:
            return await twin.connect(port)
        return await self._real(port)

    def _impostor(self, name: str, tls: ssl.SSLContext | None) -> socket.socket:
        kept = partial(self._keep, f"{name}.impostor")
        return self._behind(lambda caller: answer_http(caller, kept, tls))

    def _context(self) -> ssl.SSLContext:
        kind = self.hostility.certificate
        if self._forged is None or self._forged[0] != kind:
            self._forged = (kind, server_context(*self._pair(kind)))
        return self._forged[1]

    def _pair(self, kind: str) -> tuple[str, str]:
        if kind == "other-lease":
            other = self._other()
            if other is None:
                raise ConnectionRefusedError("there is no other tenant to take a certificate from")
            return other.certificate, other.key
        if self._bootstrap is None:
            raise ConnectionRefusedError("there is no bootstrap to take the names from")
        return self_made(self._bootstrap)

    async def _stale(self, port: int, name: str) -> socket.socket:
        """Let the first connection through, and answer the later ones with its bytes."""
        tape = self._tape
        if tape is not None:
            kept = partial(self._keep, f"{name}.there")
            return self._behind(lambda caller: answer_stale(caller, kept, bytes(tape)))
        inside = await self._place(port)
        self._tape = bytearray()
        return self._behind(partial(self._carried, inside, name, 0.0))

    async def _carried(
        self, inside: socket.socket, name: str, delay: float, caller: socket.socket
    ) -> None:
        there = Line(tap=partial(self._keep, f"{name}.there"))
        back = Line(tap=partial(self._answered, name))
        try:
            await asyncio.sleep(delay)
        except BaseException:
            inside.close()
            raise
        await relay(caller, inside, there, back)

    def _answered(self, name: str, data: bytes) -> None:
        self._keep(f"{name}.back", data)
        if self.hostility.stale_answers and self._tape is not None:
            self._tape += data[: max(0, _GREATEST_TAPE - len(self._tape))]

    def _behind(self, work: Callable[[socket.socket], Awaitable[None]]) -> socket.socket:
        """Return one end of a pair of sockets, and do the work at the other."""
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
        task = asyncio.create_task(_worked(work, theirs))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ours


async def _worked(work: Callable[[socket.socket], Awaitable[None]], caller: socket.socket) -> None:
    with caller:
        await work(caller)
