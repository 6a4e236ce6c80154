"""The faults of one seed: decided call by call from one stream of randomness."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from typing import NoReturn, Protocol

from garrison.adapters.memory.faults import Call, Fail, Fault, Late, Lose, Pass, Stage, Stale
from garrison.errors import ConflictError, FundsError, RateLimitedError, UnavailableError
from tests.simulation.coverage import Reached

LATENCY = 0.4
SLOW_CALL = 20.0
CRASH = 0.008
"""the chance that an operator dies right after a call"""
FATAL = 0.2
"""the same for the one operation that is fatal in a seed"""
LOST = 0.02
"""the chance that an answer is lost"""
MINT = "minter.mint"
MINT_REFUSED, MINT_LOST = 0.4, 0.3
"""a mint is rare, too: often it is refused, or its answer lost"""


class Process(Protocol):
    """An operator as its ports see it."""

    dead: bool


CALLER: ContextVar[Process | None] = ContextVar("caller", default=None)
"""the operator in whose task a port is called; None: the test itself"""


class Weather:
    """A hook for the ports in memory. Calm, it only takes time; in chaos, everything goes wrong.

    ``crash`` is told which operator dies; ``check`` runs after every call, and is told whether one
    has written since it last ran; ``fatal`` is the operation after which operators die often, ``last``
    one whose first call in the chaos is an operator's last.
    """

    def __init__(
        self,
        chance: random.Random,
        reached: Reached,
        crash: Callable[[Process], None],
        check: Callable[[bool], None],
        *,
        fatal: str,
        last: str | None = None,
    ) -> None:
        self._chance = chance
        self._reached = reached
        self._crash = crash
        self._check = check
        self._fatal = fatal
        self._last = last
        self._written = False
        self.chaos = True

    async def __call__(self, call: Call) -> Fault:
        process = CALLER.get()
        if call.write and call.stage is Stage.AFTER:
            self._written = True  # also when nobody hears of it any more
        if process is None:
            return Pass()
        if process.dead:
            await _never()
        name = f"{call.port}.{call.operation}"
        self._reached.operations.add(name)
        if call.stage is Stage.BEFORE:
            return await self._before(call, process, name)
        written, self._written = self._written, False
        self._check(written)
        if self.chaos and self._is_fatal(name):
            self._reached.crashed_after.add(name)
            self._crash(process)
            await _never()
        if self.chaos and self._chance.random() < (MINT_LOST if name == MINT else LOST):
            return Lose()
        return Pass()

    def _is_fatal(self, name: str) -> bool:
        """Until the call that is to be the last, all is as in the same seed without one."""
        if name == self._last and name not in self._reached.chaos:
            return True
        self._reached.chaos.add(name)
        return self._chance.random() < (FATAL if name == self._fatal else CRASH)

    async def _before(self, call: Call, process: Process, name: str) -> Fault:
        await asyncio.sleep(self._chance.random() * LATENCY)
        if process.dead:
            await _never()
        if not self.chaos:
            return Pass()
        draw = self._chance.random()
        if draw < 0.03:
            return Fail()
        if draw < 0.035:
            return Fail(error=RateLimitedError("slow down", retry_after=5.0))
        if draw < 0.04:
            await asyncio.sleep(SLOW_CALL)
            return Fail(error=UnavailableError("no answer in time"))
        if name == MINT and draw < MINT_REFUSED:
            return Fail(error=FundsError("the chain refuses the mint"))
        if call.port == "kube":
            conflict = call.write and call.operation.startswith("replace") and draw < 0.07
            return Fail(error=ConflictError("somebody else wrote first")) if conflict else Pass()
        return self._lag(call, draw)

    def _lag(self, call: Call, draw: float) -> Fault:
        """Answers as of a while ago, and writes that take effect after their caller gave up."""
        if call.port != "market" or draw > 0.2:
            return Pass()
        if not call.write:
            return Stale(timedelta(seconds=self._chance.random() * 5))
        if draw < 0.06:
            return Late(timedelta(seconds=self._chance.random() * 100))
        return Pass()


async def _never() -> NoReturn:
    while True:
        await asyncio.Event().wait()
