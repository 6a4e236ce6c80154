"""Slow work beside the passes: once, woken, taken once."""

from __future__ import annotations

import asyncio

import pytest

from garrison.api.meta import Key
from garrison.errors import UnavailableError
from garrison.runtime.jobs import Jobs
from tests.unit.runtime.objects import key

ONE, TWO = key("one"), key("two")


async def _measured() -> str:
    await asyncio.sleep(5)
    return "fast"


async def _failing() -> str:
    await asyncio.sleep(5)
    raise UnavailableError("no answer")


async def test_a_finished_job_wakes_its_key_and_its_result_is_taken_once() -> None:
    woken: list[Key] = []
    jobs = Jobs(woken.append)
    jobs.start(ONE, "benchmark", _measured)
    assert jobs.running(ONE, "benchmark")
    assert jobs.take(ONE, "benchmark") is None
    await asyncio.sleep(6)
    assert woken == [ONE]
    assert not jobs.running(ONE, "benchmark")
    result = jobs.take(ONE, "benchmark")
    assert result is not None
    assert (result.value, result.error) == ("fast", None)
    assert jobs.take(ONE, "benchmark") is None


async def test_a_failure_is_a_result() -> None:
    jobs = Jobs(lambda _: None)
    jobs.start(ONE, "benchmark", _failing)
    await asyncio.sleep(6)
    result = jobs.take(ONE, "benchmark")
    assert result is not None
    assert isinstance(result.error, UnavailableError)


async def test_a_second_job_of_the_same_name_is_a_mistake_and_others_are_not() -> None:
    jobs = Jobs(lambda _: None)
    jobs.start(ONE, "benchmark", _measured)
    with pytest.raises(RuntimeError, match="benchmark of Boat/bay/one is running"):
        jobs.start(ONE, "benchmark", _measured)
    jobs.start(ONE, "probe", _measured)
    jobs.start(TWO, "benchmark", _measured)
    await jobs.stop()


async def test_starting_again_drops_the_earlier_result() -> None:
    jobs = Jobs(lambda _: None)
    jobs.start(ONE, "benchmark", _failing)
    await asyncio.sleep(6)
    jobs.start(ONE, "benchmark", _measured)
    assert jobs.take(ONE, "benchmark") is None
    await asyncio.sleep(6)
    result = jobs.take(ONE, "benchmark")
    assert result is not None
    assert result.value == "fast"


async def test_cancelling_drops_what_runs_and_what_was_found_of_that_key_only() -> None:
    woken: list[Key] = []
    jobs = Jobs(woken.append)
    jobs.start(ONE, "image", _measured)
    await asyncio.sleep(6)
    jobs.start(ONE, "benchmark", _measured)
    jobs.start(TWO, "benchmark", _measured)
    await asyncio.sleep(1)
    jobs.cancel(ONE)
    assert not jobs.running(ONE, "benchmark")
    await asyncio.sleep(6)
    assert jobs.take(ONE, "image") is None
    assert jobs.take(ONE, "benchmark") is None
    assert jobs.take(TWO, "benchmark") is not None
    assert woken == [ONE, TWO]


async def test_a_cancelled_job_leaves_its_successor_alone() -> None:
    jobs = Jobs(lambda _: None)
    jobs.start(ONE, "benchmark", _failing)
    await asyncio.sleep(1)
    jobs.cancel(ONE)
    jobs.start(ONE, "benchmark", _measured)
    await asyncio.sleep(1)
    assert jobs.running(ONE, "benchmark")
    await asyncio.sleep(6)
    result = jobs.take(ONE, "benchmark")
    assert result is not None
    assert result.value == "fast"


async def test_no_more_than_the_given_number_run_at_a_time() -> None:
    running = most = 0

    async def counted() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1

    jobs = Jobs(lambda _: None, parallel=3)
    for number in range(10):
        jobs.start(key(str(number)), "probe", counted)
    await asyncio.sleep(20)
    assert (most, running) == (3, 0)
    assert all(jobs.take(key(str(number)), "probe") for number in range(10))


async def test_jobs_that_never_end_hold_up_their_own_sort_only() -> None:
    async def stuck() -> None:
        await asyncio.sleep(3600)

    jobs = Jobs(lambda _: None, parallel=3)
    for number in range(10):
        jobs.start(key(str(number)), f"contents {number}", stuck)
    jobs.start(ONE, "contents", _measured)
    jobs.start(ONE, "survey", _measured)
    await asyncio.sleep(6)
    assert jobs.take(ONE, "survey") is not None
    assert jobs.running(ONE, "contents")
    await jobs.stop()


async def test_stop_waits_until_every_job_has_cleaned_up() -> None:
    cleaned: list[str] = []

    async def careful() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(1)
            cleaned.append("up")

    jobs = Jobs(lambda _: None)
    for each in (ONE, TWO):
        jobs.start(each, "benchmark", careful)
    await asyncio.sleep(1)
    await jobs.stop()
    assert cleaned == ["up", "up"]
