"""Faults on request: what may go wrong around one call of a port in memory.

A hook is asked before and after every call and answers with a fault. It may also wait (latency) or
raise (the caller dies), so a simulation with a seed decides everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NoReturn, TypeAlias, TypeVar

from garrison.errors import GarrisonError, UnavailableError, UnknownOutcomeError
from garrison.ports.clock import Clock

T = TypeVar("T")

MAX_STALENESS = timedelta(seconds=5)
"""The oldest answer that a read may give."""


class Stage(StrEnum):
    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a port. ``subject`` is what it is about: a deployment's id, a marker, a host."""

    port: str
    operation: str
    write: bool
    subject: str
    stage: Stage = Stage.BEFORE


@dataclass(frozen=True, slots=True)
class Pass:
    """Nothing goes wrong."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Before: the call has no effect and raises ``error`` (default: UnavailableError)."""

    error: GarrisonError | None = None


@dataclass(frozen=True, slots=True)
class Lose:
    """After: the effect stays, the answer is lost."""


@dataclass(frozen=True, slots=True)
class Late:
    """Before a write: the answer is lost, the effect comes ``by`` later."""

    by: timedelta


@dataclass(frozen=True, slots=True)
class Hang:
    """Before: no effect, after: the effect stays; the caller waits until it is cancelled."""


@dataclass(frozen=True, slots=True)
class Stale:
    """Before a read: the answer is ``age`` old, at most MAX_STALENESS."""

    age: timedelta


Fault: TypeAlias = Pass | Fail | Lose | Late | Hang | Stale
Hook: TypeAlias = Callable[[Call], Awaitable[Fault]]
Later: TypeAlias = Callable[[datetime, Callable[[datetime], object]], None]


async def calm(_call: Call) -> Fault:
    """Let everything pass."""
    return Pass()


class Faults:
    """Runs reads and writes under a hook. ``later`` keeps effects that come after their call.

    A late effect comes before ``horizon`` and soon enough that the oldest possible read made at
    the horizon shows it.
    """

    def __init__(self, clock: Clock, hook: Hook, later: Later, horizon: timedelta) -> None:
        self._clock = clock
        self._hook = hook
        self._later = later
        self._latest = horizon - MAX_STALENESS

    async def read(self, call: Call, answer: Callable[[datetime], T]) -> T:
        """Return ``answer(moment)``; the moment is now, or earlier under Stale."""
        fault = await self._hook(call)
        age = timedelta()
        match fault:
            case Stale(age=age) if age <= MAX_STALENESS:
                pass
            case _:
                await _before(call, fault)
        result = answer(self._clock.now() - age)
        await self._after(call, UnavailableError(f"{_name(call)}: the answer was lost"))
        return result

    async def write(
        self,
        call: Call,
        effect: Callable[[datetime], T],
        lost: type[GarrisonError] = UnknownOutcomeError,
    ) -> T:
        """Return ``effect(now)``; a lost answer raises ``lost``."""
        fault = await self._hook(call)
        match fault:
            case Late(by=by) if by < self._latest:
                self._later(self._clock.now() + by, effect)
                raise lost(f"{_name(call)}: the answer was lost; look the outcome up")
            case _:
                await _before(call, fault)
        result = effect(self._clock.now())
        await self._after(call, lost(f"{_name(call)}: the answer was lost; look the outcome up"))
        return result

    async def _after(self, call: Call, lost: GarrisonError) -> None:
        fault = await self._hook(
            Call(
                port=call.port,
                operation=call.operation,
                write=call.write,
                subject=call.subject,
                stage=Stage.AFTER,
            )
        )
        match fault:
            case Pass():
                return
            case Lose():
                raise lost
            case Hang():
                await _forever()
            case _:
                _impossible(call, fault, Stage.AFTER)


async def _before(call: Call, fault: Fault) -> None:
    match fault:
        case Pass():
            return
        case Fail(error=None):
            raise UnavailableError(f"{_name(call)}: not reachable")
        case Fail(error=GarrisonError() as error):
            raise error
        case Hang():
            await _forever()
        case _:
            _impossible(call, fault, Stage.BEFORE)


async def _forever() -> NoReturn:
    while True:
        await asyncio.Event().wait()


def _impossible(call: Call, fault: Fault, stage: Stage) -> NoReturn:
    raise ValueError(f"{fault} cannot happen {stage} {_name(call)}; choose another fault")


def _name(call: Call) -> str:
    return f"{call.port}.{call.operation}({call.subject})"
