"""The queue's promises: no key twice, none forgotten, none worked on by two."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from unittest.mock import Mock

import pytest

from garrison.api.meta import Key
from garrison.runtime.queue import KeyedQueue
from tests.unit.runtime.objects import key

A, B, C = key("a"), key("b"), key("c")


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _take(queue: KeyedQueue) -> Key:
    taken = await queue.get()
    assert taken is not None
    return taken


async def test_a_key_added_often_comes_once() -> None:
    queue = KeyedQueue()
    for _ in range(3):
        queue.add(A)
    queue.add(B)
    assert len(queue) == 2
    assert [await _take(queue), await _take(queue)] == [A, B]
    assert (len(queue), queue.working) == (0, 2)


@pytest.mark.parametrize("asked", [(5.0, 30.0), (30.0, 5.0), (30.0, 5.0, 12.0)])
async def test_the_earliest_asked_time_wins(asked: tuple[float, ...]) -> None:
    queue = KeyedQueue()
    began = _now()
    for after in asked:
        queue.add(A, after=after)
    assert queue.ready() == 0
    await _take(queue)
    assert _now() - began == pytest.approx(5.0, abs=0.01)
    assert len(queue) == 0


async def test_a_key_asked_for_while_worked_on_comes_again_afterwards() -> None:
    queue = KeyedQueue()
    queue.add(A)
    await _take(queue)
    queue.add(A, after=20.0)
    queue.add(A, after=2.0)
    queue.add(A, after=7.0)
    assert len(queue) == 0
    began = _now()
    queue.done(A)
    assert await _take(queue) == A
    assert _now() - began == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize(("asked", "after", "expected"), [(3.0, 9.0, 3.0), (9.0, 3.0, 3.0)])
async def test_done_may_ask_too_and_the_earlier_of_both_holds(
    asked: float, after: float, expected: float
) -> None:
    queue = KeyedQueue()
    queue.add(A)
    await _take(queue)
    queue.add(A, after=asked)
    began = _now()
    queue.done(A, after=after)
    await _take(queue)
    assert _now() - began == pytest.approx(expected, abs=0.01)


async def test_a_done_key_stays_away_until_somebody_asks() -> None:
    queue = KeyedQueue()
    queue.add(A)
    queue.done(await _take(queue))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3600):
            await queue.get()
    queue.add(A)
    assert await _take(queue) == A


async def test_what_goes_on_at_once_comes_before_all_that_waits() -> None:
    queue = KeyedQueue()
    queue.add(A)
    await _take(queue)
    queue.add(B)
    await asyncio.sleep(5)
    queue.add(A)
    queue.done(A, after=0.0)
    queue.add(C)
    assert [await _take(queue) for _ in range(3)] == [A, B, C]
    assert len(queue) == 0


async def test_closing_wakes_those_who_wait_and_gives_out_nothing_more() -> None:
    queue = KeyedQueue()
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(1)
    queue.add(A, after=1.0)
    queue.close()
    assert await asyncio.gather(*waiting) == [None, None, None]
    assert await queue.get() is None


async def test_several_waiters_share_the_keys() -> None:
    queue = KeyedQueue()
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(1)
    for each in (A, B, C):
        queue.add(each)
    assert set(await asyncio.gather(*waiting)) == {A, B, C}


async def test_a_cancelled_waiter_takes_no_key_with_it() -> None:
    queue = KeyedQueue()
    waiter = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    waiter.cancel()
    await asyncio.wait([waiter])
    queue.add(A)
    assert await _take(queue) == A


async def test_who_is_cancelled_just_when_it_was_woken_leaves_the_key_to_another() -> None:
    queue = KeyedQueue()
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(1)
    queue.add(A)
    first.cancel()
    assert await second == A
    assert first.cancelled()


async def test_one_of_many_is_woken_for_a_key_and_the_rest_sleep_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = KeyedQueue()
    waiting = [asyncio.create_task(queue.get()) for _ in range(50)]
    await asyncio.sleep(1)
    loop = asyncio.get_running_loop()
    calls = Mock(side_effect=loop.call_soon)
    monkeypatch.setattr(loop, "call_soon", calls)
    queue.add(A, after=2.0)
    queue.add(B, after=2.0)
    await asyncio.sleep(5)
    assert calls.call_count < 10
    assert {each.result() for each in waiting if each.done()} == {A, B}
    queue.close()
    await asyncio.gather(*waiting)


@pytest.mark.parametrize("seed", range(20))
async def test_no_key_is_worked_on_twice_at_a_time_and_no_request_is_lost(seed: int) -> None:
    dice = random.Random(seed)
    queue = KeyedQueue()
    keys = [key(f"k{number}") for number in range(4)]
    asked: dict[Key, float] = {}
    looked: dict[Key, float] = {}
    busy: Counter[Key] = Counter()

    async def work() -> None:
        while (taken := await queue.get()) is not None:
            looked[taken] = _now()
            busy[taken] += 1
            assert busy[taken] == 1
            await asyncio.sleep(dice.random() * 3)
            busy[taken] -= 1
            queue.done(taken, after=dice.choice([None, None, dice.random()]))

    workers = [asyncio.create_task(work()) for _ in range(3)]
    for _ in range(100):
        chosen = dice.choice(keys)
        queue.add(chosen, after=dice.choice([0.0, dice.random() * 2]))
        asked[chosen] = _now()
        await asyncio.sleep(dice.random())
    await asyncio.sleep(600)
    queue.close()
    await asyncio.gather(*workers)
    assert all(looked[each] >= moment for each, moment in asked.items())
