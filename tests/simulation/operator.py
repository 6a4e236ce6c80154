"""One incarnation of the operator: its own cache, queue, tokens; the ports are shared."""

from __future__ import annotations

import asyncio
import contextlib

from garrison.api.meta import Key, Raw
from garrison.controllers.assembly import Pace, Ports, assemble
from garrison.core.lifecycle import Timing
from garrison.runtime.meter import NoMeter
from tests.simulation.coverage import Reached
from tests.simulation.faults import CALLER

INSTALLATION = "0123abcd"
TIMING = Timing(calm_look=30.0)
"""Sentinels that serve are looked at seldom: the hours of calm in a seed cost no more than needed."""


class Meter(NoMeter):
    """Notes which actions were performed."""

    def __init__(self, reached: Reached) -> None:
        self._reached = reached

    def acted(self, key: Key, action: str, error: Exception | None) -> None:
        self._reached.actions.add(action)


class Operator:
    """Runs until ``crash`` (at once, nothing more reaches a port) or ``stop``."""

    def __init__(self, ports: Ports, reached: Reached) -> None:
        self.dead = False
        self._tasks: list[asyncio.Task[None]] = []
        self.engine = assemble(
            ports,
            installation=INSTALLATION,
            pace=Pace(workers=4, timing=TIMING),
            meter=Meter(reached),
        )

    def start(self) -> None:
        token = CALLER.set(self)
        self._tasks.append(asyncio.create_task(self.engine.run(), name="operator"))
        CALLER.reset(token)

    def deliver(self, kind: str, raw: Raw) -> None:
        """Take a watch event, unless dead."""
        if not self.dead:
            self.engine.on_event(kind, raw)

    def crash(self) -> None:
        """Die between two instructions: whatever is in flight never hears back."""
        self.dead = True
        asyncio.get_running_loop().call_soon(self._bury)

    def _bury(self) -> None:
        self._tasks.append(asyncio.create_task(self.stop(), name="burial"))

    async def stop(self) -> None:
        """End without grace."""
        self.dead = True
        await self.engine.stop(grace=0.0)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
