"""Figures from inside: of the enrolled instance only, and of the closed list only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from garrison.api.egress import EgressPolicySpec
from garrison.errors import GarrisonError
from garrison.ports.samples import FAMILIES
from tests.contract.sentinel.post import Post, enrolled

FREE = EgressPolicySpec(require_enforced=False)
NEEDED = {"workload_cpu_seconds_total", "relay_requests_total", "relay_requests_in_flight"}


async def test_a_running_workload_shows_figures_of_the_closed_list(post: Post) -> None:
    door = await enrolled(post, await post.door())
    await post.sentinel.set_egress(door, 2, FREE)
    await post.sentinel.start(door, post.launch())
    found = await post.sentinel.metrics(door)
    names = {each.family for each in found.samples}
    assert names >= NEEDED
    assert names <= {each.name for each in FAMILIES}
    assert found.dropped == 0


async def test_what_is_not_enrolled_shows_nothing(post: Post) -> None:
    door = await post.door()
    with pytest.raises(GarrisonError):
        await post.sentinel.metrics(door)
    door = await enrolled(post, door)
    with pytest.raises(GarrisonError):
        await post.sentinel.metrics(replace(door, key="0" * 64))
