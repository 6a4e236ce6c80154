"""Operators that die at an appointed HTTP call: while it is under way, or once it was answered.

A dead operator hears nothing any more and reaches nothing; what it sent stays sent.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol
from unittest import mock

import aiohttp
from yarl import URL

from akash_proto.tx import decode_tx
from garrison.adapters.memory.faults import Call, Fault, Pass, Stage

TXS = "/cosmos/tx/v1beta1/txs"
_VARIABLE = re.compile(r"akash1[0-9a-z]+|[0-9A-F]{64}|(?<=/)[0-9]+(?=/|$)")


class Mortal(Protocol):
    """A process that calls, as the calls see it."""

    dead: bool

    def die(self) -> None:
        """End at once."""


CALLER: ContextVar[Mortal | None] = ContextVar("caller", default=None)
"""the operator in whose task a call is made; None: the test itself"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """At the ``after``-th call since the last one; ``writing``: of those that change the market.

    ``turns`` of the event loop after the call began, so before, while or after it reached the other
    side; None: when the answer is there, and nobody has seen it.
    """

    after: int
    writing: bool = False
    turns: int | None = None


class Reaper:
    """Counts the calls of whoever is alive, and ends its life when that is due."""

    def __init__(self) -> None:
        self.died_at: list[str] = []
        self.calls: Counter[str] = Counter()
        self._deaths: list[Death] = []
        self._counted = 0

    def appoint(self, deaths: Sequence[Death]) -> None:
        """Forget what was due; from now on these are."""
        self._deaths, self._counted = list(deaths), 0

    def due(self, name: str, *, writing: bool) -> Death | None:
        """Count a call; return the death that it brings, if any."""
        self.calls[name] += 1
        if not self._deaths or (self._deaths[0].writing and not writing):
            return None
        self._counted += 1
        if self._counted < self._deaths[0].after:
            return None
        self._counted = 0
        self.died_at.append(name)
        return self._deaths.pop(0)

    async def http(
        self, name: str, send: Callable[[], Awaitable[aiohttp.ClientResponse]], *, writing: bool
    ) -> aiohttp.ClientResponse:
        """Send a request for whoever calls."""
        caller = CALLER.get()
        if caller is None:
            return await send()
        if caller.dead:
            await never()
        death = self.due(name, writing=writing)
        if death is None:
            return await send()
        if death.turns is not None:
            _in_turns(death.turns, caller.die)
            return await send()
        try:
            (await send()).close()
        finally:
            caller.die()
            await never()

    async def kube(self, call: Call) -> Fault:
        """Let a call of the Kubernetes API in memory pass (``memory.faults.Hook``)."""
        caller = CALLER.get()
        if caller is not None and caller.dead:
            await never()
        if caller is None or call.stage is Stage.BEFORE:
            return Pass()
        if self.due(f"kube {call.operation}", writing=False) is not None:
            caller.die()
            await never()
        return Pass()


@contextmanager
def reaping(reaper: Reaper) -> Iterator[None]:
    """Let every request of this process pass by the reaper."""
    request = aiohttp.ClientSession._request

    async def passing(
        session: aiohttp.ClientSession, method: str, url: Any, **more: Any
    ) -> aiohttp.ClientResponse:
        name = _named(method, URL(url).path, more.get("json"))
        writing = method != "GET" and not name.endswith("simulate")
        return await reaper.http(
            name, lambda: request(session, method, url, **more), writing=writing
        )

    with mock.patch.object(aiohttp.ClientSession, "_request", passing):
        yield


async def never() -> NoReturn:
    """Wait for the grave."""
    while True:
        await asyncio.Event().wait()


def _in_turns(turns: int, act: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()

    def turn(left: int) -> None:
        if left:
            loop.call_soon(turn, left - 1)
        else:
            act()

    turn(turns)


def _named(method: str, path: str, body: Mapping[str, str] | None) -> str:
    """Return what a request is, the same for every account, deployment and hash."""
    name = f"{method} {_VARIABLE.sub('*', path)}"
    if path != TXS or body is None:
        return name
    messages = decode_tx(base64.b64decode(body["tx_bytes"])).messages
    return f"{name} {' '.join(sorted({each.DESCRIPTOR.name for each in messages}))}"
