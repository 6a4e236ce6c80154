"""A container's share of the processor, by control group or by stopping it now and then."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from akash_sandbox.runtimes.cgroup import Cgroups
from akash_sandbox.runtimes.proctree import send, tree

_CYCLE_SECONDS = 0.1


class Throttle:
    """Slows one container at a time to ``percent`` of what it was promised."""

    def __init__(self, name: str, cpu_millis: int, cgroups: Cgroups | None) -> None:
        self.percent = 100
        self._name = name
        self._cpu_millis = cpu_millis
        self._cgroups = cgroups
        self._cycle: asyncio.Task[None] | None = None

    async def start(self, pid: int) -> None:
        """Apply the present percentage to the container of this process."""
        await self.end()
        if self._cgroups is not None:
            share = max(1, self._cpu_millis * self.percent // 100)
            if await asyncio.to_thread(self._cgroups.set_cpu, self._name, share):
                return
        if self.percent < 100:
            self._cycle = asyncio.create_task(_stop_and_go(pid, self.percent / 100))

    async def end(self) -> None:
        """Leave the container alone; one that is stopped goes on."""
        cycle, self._cycle = self._cycle, None
        if cycle is not None:
            cycle.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await cycle


async def _stop_and_go(pid: int, share: float) -> None:
    while True:
        pids = await asyncio.to_thread(tree, pid)
        send(pids, signal.SIGSTOP)
        try:
            await asyncio.sleep(_CYCLE_SECONDS * (1 - share))
        finally:
            send(pids, signal.SIGCONT)
        await asyncio.sleep(_CYCLE_SECONDS * share)
