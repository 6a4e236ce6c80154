"""The sealed start, step by step, and everything that must not work before its turn."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest

from garrison.api.egress import DENY_ALL, Allow, EgressPolicySpec
from garrison.errors import AuthError, GarrisonError, RejectedError, UnavailableError
from garrison.ports.sentinel import Delivery, Door, EgressView, SentinelState, View
from tests.contract.sentinel.post import Post, enrolled

NOTHING = EgressPolicySpec(require_enforced=False)
HUB = EgressPolicySpec(
    require_enforced=False,
    allow=(Allow(host="hub.example", ports=(443,)), Allow(cidr="203.0.113.0/24")),
)
AUDIT = EgressPolicySpec(mode="Audit")
AWAY = "203.0.113.9"  # TEST-NET-3: nothing is there


async def the(post: Post) -> View:
    """The one instance that answers."""
    (view,) = await post.sentinel.look(await post.door())
    return view


async def test_a_fresh_container_is_sealed_and_runs_what_was_injected(post: Post) -> None:
    view = await the(post)
    assert view.state is SentinelState.SEALED
    assert view.key is None
    assert view.digest == post.bootstraps.digest
    assert view.process is None or not view.process.running


async def test_enrolment_gives_a_key_and_a_certificate_of_hours(post: Post) -> None:
    done = await post.sentinel.enrol(await post.door())
    view = await the(post)
    assert (view.instance, view.key, view.state) == (
        done.instance,
        done.key,
        SentinelState.ENROLLED,
    )
    life = done.certificate_until - post.now()
    assert timedelta(hours=1) < life < timedelta(hours=24)
    again = await post.sentinel.enrol(replace(await post.door(), key=done.key))
    assert (again.instance, again.key) == (done.instance, done.key)


async def test_only_what_is_enrolled_takes_anything(post: Post) -> None:
    door = await post.door()
    for attempt in (
        post.sentinel.set_egress(door, 1, DENY_ALL),
        post.sentinel.start(door, post.launch()),
        post.sentinel.deliver(door, Delivery(name="a", version=1, value=b"x", file="a")),
    ):
        with pytest.raises(GarrisonError):
            await attempt
    assert (await the(post)).state is SentinelState.SEALED


async def test_another_key_than_the_enrolled_one_gets_nothing(post: Post) -> None:
    door = replace(await enrolled(post, await post.door()), key="0" * 64)
    with pytest.raises(GarrisonError):
        await post.sentinel.deliver(door, Delivery(name="a", version=1, value=b"x", file="a"))


async def test_policies_only_move_forward(post: Post) -> None:
    door = await enrolled(post, await post.door())
    assert (await post.sentinel.set_egress(door, 2, HUB)).version == 2
    assert (await post.sentinel.set_egress(door, 3, NOTHING)).version == 3
    with pytest.raises(RejectedError) as caught:
        await post.sentinel.set_egress(door, 2, HUB)
    assert caught.value.reason == "StaleVersion"
    view = await the(post)
    assert view.egress is not None
    assert (view.egress.version, view.egress.mode) == (3, "Enforce")


async def test_a_change_of_mode_seals_and_is_then_taken_and_never_called_enforced(
    post: Post,
) -> None:
    door = await enrolled(post, await post.door())
    before = await the(post)
    with pytest.raises(RejectedError) as caught:
        await post.sentinel.set_egress(door, 1, AUDIT)
    assert caught.value.reason == "RestartNeeded"
    after = await settled(post, before.instance)
    assert after.state is SentinelState.SEALED
    door = await enrolled(post, await post.door())
    found = await post.sentinel.set_egress(door, 1, AUDIT)
    assert found.mode == "Audit"
    assert found.level != "Enforced"
    await post.sentinel.start(door, post.seeks(AWAY, 3333))
    (would,) = (await sought(post)).denied
    assert (would.destination, would.address, would.port) == (AWAY, AWAY, 3333)
    assert would.mining == "pool-port"


async def test_a_change_of_mode_after_a_workload_ran_needs_another_start_of_the_container(
    post: Post,
) -> None:
    door = await enrolled(post, await post.door())
    await post.sentinel.set_egress(door, 1, NOTHING)
    await post.sentinel.start(door, post.launch())
    before = await the(post)
    await change_mode(post, door)
    await post.again()
    door = await enrolled(post, await post.door())
    assert door.instance != before.instance
    await change_mode(post, door)  # it was started with the mode of its bootstrap
    await settled(post, door.instance or "")
    door = await enrolled(post, await post.door())
    assert (await post.sentinel.set_egress(door, 2, AUDIT)).mode == "Audit"


async def change_mode(post: Post, door: Door) -> None:
    """Ask for an audit of what enforces; it is refused, and takes effect in another instance."""
    with pytest.raises(RejectedError) as caught:
        await post.sentinel.set_egress(door, 2, AUDIT)
    assert caught.value.reason == "RestartNeeded"


async def test_what_is_refused_is_told(post: Post) -> None:
    door = await enrolled(post, await post.door())
    await post.sentinel.set_egress(door, 1, NOTHING)
    await post.sentinel.start(door, post.seeks(AWAY, 3333))
    view = await sought(post)
    (denied,) = view.denied
    assert (denied.destination, denied.port, denied.mining) == (AWAY, 3333, "pool-port")
    assert denied.process.startswith("/")
    assert view.denied_total >= 1


async def sought(post: Post) -> EgressView:
    """The guard's word once the workload has asked for something that is not on the list."""
    for _ in range(1000):
        view = (await the(post)).egress
        if view is not None and view.denied:
            return view
        await asyncio.sleep(0.01)
    raise AssertionError("nothing was told")


async def settled(post: Post, old: str) -> View:
    """The instance that comes after ``old``, which is never seen sealed for good meanwhile."""
    for _ in range(1000):
        with contextlib.suppress(UnavailableError):
            view = await the(post)
            assert view.sealed_because == ""
            if view.instance != old:
                return view
        await asyncio.sleep(0.01)
    raise AssertionError("no other instance came")


async def test_secrets_only_move_forward_and_are_acknowledged(post: Post) -> None:
    door = await enrolled(post, await post.door())
    first = Delivery(name="hub", version=1, value=b"one", file="hub", on_rotate="None")
    await post.sentinel.deliver(door, first)
    await post.sentinel.deliver(door, replace(first, version=2, value=b"two"))
    assert (await the(post)).secrets == {"hub": 2}
    with pytest.raises(RejectedError) as caught:
        await post.sentinel.deliver(door, first)
    assert caught.value.reason == "StaleVersion"


async def test_the_workload_starts_once_it_is_told_to(post: Post) -> None:
    door = await enrolled(post, await post.door())
    await post.sentinel.set_egress(door, 1, NOTHING)
    await post.sentinel.start(door, post.launch())
    await post.sentinel.start(door, post.launch())
    view = await the(post)
    assert view.state is SentinelState.RUNNING
    assert view.process is not None
    assert view.process.running


async def test_a_restarted_container_is_sealed_and_another_instance(post: Post) -> None:
    door = await enrolled(post, await post.door())
    await post.sentinel.set_egress(door, 1, NOTHING)
    await post.sentinel.start(door, post.launch())
    before = await the(post)
    await post.restart()
    after = await the(post)
    assert after.state is SentinelState.SEALED
    assert after.instance != before.instance
    assert after.key is None
    assert after.secrets == {}
    assert after.resolvers == before.resolvers
    assert before.resolvers is not None


async def test_a_copy_beside_the_original_is_seen_and_both_can_be_sealed(post: Post) -> None:
    door = await enrolled(post, await post.door())
    await post.sentinel.set_egress(door, 1, NOTHING)
    await post.sentinel.start(door, post.launch())
    await post.sentinel.look(door)
    await post.copy()
    views = await post.sentinel.look(door)
    assert len({each.instance for each in views}) == 2
    await post.sentinel.seal(door, "SecondSession")


async def test_what_is_sealed_never_enrols_again(post: Post) -> None:
    door = await enrolled(post, await post.door())
    await post.sentinel.seal(door, "a reason")
    assert (await the(post)).sealed_because == "a reason"
    with pytest.raises(GarrisonError):
        await post.sentinel.enrol(door)


async def test_nothing_there_is_unavailable_and_not_refused(post: Post) -> None:
    door = await post.door()
    await post.stop()
    with pytest.raises(UnavailableError):
        await post.sentinel.look(door)


async def test_a_door_of_another_lease_is_refused(post: Post) -> None:
    door = await post.door()
    other = replace(door, lease=replace(door.lease, uid="66666666-7777-8888-9999-000000000000"))
    with pytest.raises(AuthError):
        await post.sentinel.look(other)


async def test_a_bootstrap_is_listed_with_its_lease_until_it_is_discarded(post: Post) -> None:
    (kept,) = await post.bootstraps.kept()
    assert kept.lease == post.lease.uid
    assert await post.bootstraps.fingerprint(kept.name) is not None
    await post.bootstraps.discard(kept.name)
    assert list(await post.bootstraps.kept()) == []
    assert await post.bootstraps.fingerprint(kept.name) is None
