"""Figures from inside: of the enrolled instance only, and of the closed list only."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from garrison.api.egress import EgressPolicySpec
from garrison.errors import GarrisonError, RejectedError, UnavailableError
from garrison.ports.samples import FAMILIES, Samples
from garrison.ports.sentinel import Door, Launch
from tests.contract.sentinel.post import Post, enrolled

FREE = EgressPolicySpec(require_enforced=False)
NEEDED = {"workload_cpu_seconds_total", "relay_requests_total", "relay_requests_in_flight"}


async def running(post: Post, launch: Launch) -> Door:
    """Enrol what answers and start its workload."""
    door = await enrolled(post, await post.door())
    await post.sentinel.set_egress(door, 2, FREE)
    await post.sentinel.start(door, launch)
    return door


async def test_a_running_workload_shows_figures_of_the_closed_list(post: Post) -> None:
    door = await running(post, post.launch())
    found = await post.sentinel.metrics(door)
    names = {each.family for each in found.samples}
    assert names >= NEEDED
    assert names <= {each.name for each in FAMILIES}
    assert found.dropped == 0


async def test_a_workload_s_own_metrics_are_relayed_from_the_path_of_its_launch(post: Post) -> None:
    door = await running(post, replace(post.launch(), metrics_path="/stats"))
    found = await answered(post, door)
    (sample,) = found.samples
    assert (sample.name, sample.labels) == ("requests_total", (("path", "/stats"),))


async def answered(post: Post, door: Door) -> Samples:
    """What the workload says, once it listens."""
    for _ in range(100):
        with contextlib.suppress(UnavailableError):
            return await post.sentinel.workload_metrics(door)
        await asyncio.sleep(0.1)
    raise AssertionError("the workload never told its metrics")


async def test_without_a_path_nothing_is_relayed(post: Post) -> None:
    door = await running(post, post.launch())
    with pytest.raises(RejectedError) as caught:
        await post.sentinel.workload_metrics(door)
    assert caught.value.reason == "NoMetricsPath"


async def test_what_does_not_run_relays_nothing(post: Post) -> None:
    door = await enrolled(post, await post.door())
    for each in (door, replace(door, key="0" * 64)):
        with pytest.raises(GarrisonError):
            await post.sentinel.workload_metrics(each)


async def test_what_is_not_enrolled_shows_nothing(post: Post) -> None:
    door = await post.door()
    with pytest.raises(GarrisonError):
        await post.sentinel.metrics(door)
    door = await enrolled(post, door)
    with pytest.raises(GarrisonError):
        await post.sentinel.metrics(replace(door, key="0" * 64))
