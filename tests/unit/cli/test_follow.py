"""``logs -f`` outlives broken streams and replaced replicas; time is the loop's."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

import pytest

from garrison.api.lease import Lease
from garrison.cli.inside import Inside
from garrison.cli.logs import Asked, Following
from garrison.core.overlap import unseen
from garrison.errors import AuthError, GarrisonError, NotFoundError, UnavailableError
from garrison.ports.console import Console, Line
from tests.builders import lease

pytestmark = pytest.mark.looptime(noop_cycles=0)

BROKEN = UnavailableError("the connection ended")


class Scripted:
    """A replica's output: each time it is asked, the lines that are kept, then what follows, then an end."""

    def __init__(self, *asked: tuple[str, GarrisonError | None]) -> None:
        self._asked = deque(asked)
        self.tails: list[int | None] = []
        self.closed = 0

    async def lines(self, *, follow: bool, tail: int | None) -> AsyncIterator[Line]:
        assert follow
        self.tails.append(tail)
        if not self._asked:
            await asyncio.Event().wait()
        said, end = self._asked.popleft()
        for each in said:
            yield Line(text=each)
        await asyncio.sleep(5)
        if end is not None:
            raise end

    async def close(self) -> None:
        self.closed += 1


class Workload:
    """What ``Inside`` tells: replicas that come and go."""

    def __init__(self, **consoles: Scripted) -> None:
        self.consoles = consoles
        self.deleted = False

    async def replicas(self, only: str | None = None) -> tuple[Lease, ...]:
        names = [each for each in self.consoles if only in {None, each}]
        if not names:
            raise NotFoundError("no replica has a container")
        return tuple(lease("Ready", name=each, uid=each) for each in names)

    async def workload(self) -> None:
        if self.deleted:
            raise NotFoundError("prod/chat does not exist")

    async def console(self, of: Lease) -> Console:
        return cast("Console", self.consoles[of.meta.name])


def following(found: Workload, tail: int | None = None) -> asyncio.Task[None]:
    work = Following(cast("Inside", found), found.console, Asked(tail=tail))
    return asyncio.create_task(work.run())


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_broken_stream_goes_on_without_a_line_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Scripted(("abc", BROKEN), ("abcd", BROKEN), ("xyz", None), ("xyz!", BROKEN))
    task = following(Workload(a=console), tail=3)
    await asyncio.sleep(60)
    await stopped(task)
    out, err = capsys.readouterr()
    assert out.split() == list("abcdxyz!")
    assert console.tails[:2] == [3, 200]
    assert "a: the connection ended; waiting" in err
    assert console.closed == len(console.tails), "each stream has a connection of its own"


async def test_events_go_on_after_a_break_though_all_are_told_again_in_any_order(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Scripted(("abc", BROKEN), ("cdab", BROKEN), ("dbcae", None))
    found = Workload(a=console)
    work = Following(cast("Inside", found), found.console, Asked(), new=unseen)
    task = asyncio.create_task(work.run())
    await asyncio.sleep(60)
    await stopped(task)
    assert capsys.readouterr().out.split() == list("abcde")


async def test_a_replacement_is_followed_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    found = Workload(a=Scripted(("1", None)))
    task = following(found)
    await asyncio.sleep(10)
    found.consoles["b"] = Scripted(("2", None))
    await asyncio.sleep(10)
    del found.consoles["a"]
    await asyncio.sleep(10)
    await stopped(task)
    out, err = capsys.readouterr()
    assert out.splitlines() == ["1", "b 2"]
    assert err.splitlines() == ["b is Ready", "a is gone"]


async def test_it_waits_while_there_is_no_replica_and_ends_with_the_workload() -> None:
    found = Workload(a=Scripted(("1", None)))
    task = following(found)
    await asyncio.sleep(5)
    del found.consoles["a"]
    await asyncio.sleep(600)
    assert not task.done()
    found.deleted = True
    with pytest.raises(NotFoundError, match="does not exist"):
        await task


async def test_a_restarted_container_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    sealed = AuthError("not the enrolled key", reason="IdentityRefused")
    task = following(Workload(a=Scripted(("1", BROKEN), ("", sealed), ("", sealed), ("2", None))))
    await asyncio.sleep(120)
    await stopped(task)
    assert capsys.readouterr().out.split() == ["1", "2"]


async def test_a_missing_right_ends_it() -> None:
    task = following(Workload(a=Scripted(("1", AuthError("you may not")))))
    with pytest.raises(AuthError, match="may not"):
        await task
