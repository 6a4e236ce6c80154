"""``garrison logs`` and ``garrison events``: what replicas say, and what their providers say of them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import click

from garrison.adapters.akash.streams import GatewayConsole
from garrison.api.lease import Lease
from garrison.cli.inside import Inside, looking
from garrison.cli.place import Place, completed, placed
from garrison.cli.target import TargetType
from garrison.cli.terminal import harmless
from garrison.core.overlap import fresh, unseen
from garrison.errors import GarrisonError, NotFoundError, TransientError
from garrison.ports.console import Line

PERIOD = 2.0
"""Seconds between two looks for new replicas, and before a stream that broke is taken up again."""
QUIET = 0.5
"""After this many seconds without a line, what was said before a break has been heard again."""
REMEMBERED = 200


class Source(Protocol):
    """What tells lines of one replica (``ports.console.Console`` does)."""

    def lines(self, *, follow: bool, tail: int | None) -> AsyncIterator[Line]: ...

    async def close(self) -> None: ...


Open: TypeAlias = Callable[[Lease], Awaitable[Source]]
New: TypeAlias = Callable[[Sequence[Line], Sequence[Line]], Sequence[Line]]
"""Returns what is new of the lines that a source tells after a break, given those from before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which lines."""

    replica: str | None = None
    tail: int | None = None
    times: bool = False


@click.command()
@click.argument("workload", type=TargetType())
@click.option("-f", "--follow", is_flag=True, help="Go on, also when a replica is replaced.")
@click.option("--tail", type=click.IntRange(0), default=None, help="Only the newest lines.")
@click.option("--replica", default=None, help="Only this one, by its AkashLease's name.")
@click.option("--timestamps", is_flag=True, help="Show when, where it is known.")
@click.option(
    "--gateway",
    is_flag=True,
    help="Ask the provider's gateway even where there is a sentinel: what the sentinel itself says.",
)
@placed
def logs(
    *,
    place: Place,
    workload: str,
    follow: bool,
    tail: int | None,
    replica: str | None,
    timestamps: bool,
    gateway: bool,
) -> None:
    """Print what WORKLOAD's replicas write, newest last.

    \b
    garrison logs iw/chat -n prod --tail 100
    garrison logs iw/chat -n prod -f

    With several replicas each line starts with the replica's name. A sentinel keeps the newest
    mebibyte in memory. A workload with trust: Unverified has none; then the provider's gateway is
    asked, which takes the account's Secret.
    """
    asked = Asked(replica=replica, tail=tail, times=timestamps)
    completed(_logs(place, workload, asked, follow=follow, gateway=gateway))


async def _logs(place: Place, workload: str, asked: Asked, *, follow: bool, gateway: bool) -> None:
    async with looking(place, workload) as inside:
        opened = inside.gateway if gateway else inside.console
        if follow:
            await Following(inside, opened, asked).run()
        else:
            await printed(inside, opened, asked)


async def printed(inside: Inside, opened: Open, asked: Asked) -> None:
    """Print what there is, one replica after the other. Raises what the first failure was."""
    found = await inside.replicas(asked.replica)
    failures: list[GarrisonError] = []
    for lease in found:
        try:
            async for line in (await opened(lease)).lines(follow=False, tail=asked.tail):
                shown(line, asked, lease.meta.name if len(found) > 1 else "")
        except GarrisonError as error:
            click.echo(f"{lease.meta.name}: {error}", err=True)
            failures.append(error)
    if failures:
        raise failures[0]


class Following:
    """Follows every replica there is, and those that come."""

    def __init__(self, inside: Inside, opened: Open, asked: Asked, new: New = fresh) -> None:
        self._inside = inside
        self._opened = opened
        self._asked = asked
        self._new = new
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._seen: set[str] = set()

    async def run(self) -> None:
        """Go on until the workload is gone. Raises what no waiting mends."""
        leases = await self._inside.replicas(self._asked.replica)
        try:
            while True:
                self._sync(leases)
                await asyncio.sleep(PERIOD)
                for task in self._tasks.values():
                    if task.done():
                        task.result()
                leases = await self._now(leases)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _now(self, before: tuple[Lease, ...]) -> tuple[Lease, ...]:
        try:
            return await self._inside.replicas(self._asked.replica)
        except NotFoundError:
            await self._inside.workload()  # raises when it is gone, and that is the end
            return ()
        except TransientError:
            return before

    def _sync(self, leases: tuple[Lease, ...]) -> None:
        for name in self._tasks.keys() - {each.meta.name for each in leases}:
            self._tasks.pop(name).cancel()
            click.echo(f"{name} is gone", err=True)
        for lease in leases:
            name = lease.meta.name
            if name not in self._tasks:
                if self._seen:
                    click.echo(f"{name} is {lease.status.phase}", err=True)
                self._tasks[name] = asyncio.create_task(self._follow(name))
        self._seen |= {each.meta.name for each in leases}

    async def _follow(self, name: str) -> None:
        kept: deque[Line] = deque(maxlen=REMEMBERED)
        said = ""
        while True:
            try:
                async for line in self._lines(name, kept):
                    shown(line, self._asked, name if len(self._seen) > 1 else "")
                    kept.append(line)
                    said = ""
            except GarrisonError as error:
                if not _passes(error):
                    raise
                if str(error) != said:
                    click.echo(f"{name}: {error}; waiting", err=True)
                said = str(error)
            await asyncio.sleep(PERIOD)

    async def _lines(self, name: str, kept: deque[Line]) -> AsyncIterator[Line]:
        (lease,) = await self._inside.replicas(name)
        console = await self._opened(lease)
        tail = REMEMBERED if kept else self._asked.tail
        try:
            async for line in _resumed(console.lines(follow=True, tail=tail), kept, self._new):
                yield line
        finally:
            await console.close()  # another is opened after a break


def _passes(error: GarrisonError) -> bool:
    """A restarted container has another key, until it is enrolled and the lease's status says so."""
    waits = isinstance(error, TransientError | NotFoundError)
    return waits or error.reason == "IdentityRefused"


async def _resumed(lines: AsyncIterator[Line], kept: deque[Line], new: New) -> AsyncIterator[Line]:
    """Yield lines; after a break without those that were shown before it."""
    coming = aiter(lines)
    waiting = asyncio.ensure_future(anext(coming))
    try:
        if kept:
            again: list[Line] = []
            while len(again) < REMEMBERED:
                done, _ = await asyncio.wait({waiting}, timeout=QUIET)
                if not done or waiting.exception() is not None:
                    break
                again.append(waiting.result())
                waiting = asyncio.ensure_future(anext(coming))
            for line in new(tuple(kept), again):
                yield line
        while True:
            try:
                yield await waiting
            except StopAsyncIteration:
                return
            waiting = asyncio.ensure_future(anext(coming))
    finally:
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, GarrisonError):
            await waiting


def shown(line: Line, asked: Asked, replica: str) -> None:
    """Print a line, with the replica's name unless it is empty."""
    text = harmless(line.text) if sys.stdout.isatty() else line.text
    at = f"{line.at} " if asked.times and line.at else ""
    click.echo(f"{replica} {at}{text}" if replica else f"{at}{text}")


@click.command()
@click.argument("workload", type=TargetType())
@click.option(
    "-f", "--follow", is_flag=True, help="Wait for more, also when a replica is replaced."
)
@click.option("--replica", default=None, help="Only this one, by its AkashLease's name.")
@placed
def events(*, place: Place, workload: str, follow: bool, replica: str | None) -> None:
    """Print what the providers' own clusters tell about WORKLOAD's containers.

    \b
    garrison events iw/chat -n prod
    garrison events iw/chat -n prod -f

    Image pulls, starts and crashes, in a provider's words. They come through its gateway, which
    takes the account's Secret. What Garrison itself did: kubectl describe iw.
    """
    completed(_events(place, workload, Asked(replica=replica), follow=follow))


async def _events(place: Place, workload: str, asked: Asked, *, follow: bool) -> None:
    async with looking(place, workload) as inside:

        async def opened(lease: Lease) -> Told:
            return Told(await inside.gateway(lease))

        if follow:
            await Following(inside, opened, asked, new=unseen).run()
        else:
            await printed(inside, opened, asked)


class Told:
    """A gateway's events as lines (``Source``). It tells all that its cluster keeps, in any order."""

    def __init__(self, console: GatewayConsole) -> None:
        self._console = console

    async def lines(self, *, follow: bool, tail: int | None) -> AsyncIterator[Line]:
        """Yield one line for each event."""
        del tail
        async for event in self._console.events(follow=follow):
            text = f"{event.type:<8} {event.reason:<12} {event.about}  {event.note}"
            yield Line(text=harmless(text))

    async def close(self) -> None:
        """Close every connection."""
        await self._console.close()
