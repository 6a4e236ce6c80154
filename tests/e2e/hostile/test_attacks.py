"""Hostile providers: noticed by name, given nothing, blamed, and left for another one."""

from __future__ import annotations

import pytest

from tests.e2e.bodies import Body
from tests.e2e.hostile.attack import ATTACKS, Attack
from tests.e2e.hostile.downfall import HAVEN, Downfall
from tests.e2e.hostile.readings import holding

each_attack = pytest.mark.parametrize(
    "attack",
    [pytest.param(each, marks=[pytest.mark.long] if each.is_long else []) for each in ATTACKS],
    ids=lambda each: each.name,
)


def struck(downfall: Downfall, attack: Attack) -> list[Body]:
    """Return the leases that the attacker had; there is at least one."""
    found = downfall.outcomes[attack.name].at(downfall.addresses[attack.name])
    assert found
    return found


def phases(lease: Body) -> list[str]:
    return [each["phase"] for each in lease["status"]["timings"]]


@each_attack
async def test_the_lease_fails_for_the_stated_reason(downfall: Downfall, attack: Attack) -> None:
    address = downfall.addresses[attack.name]
    found = [e for e in downfall.outcomes[attack.name].failures if e.get("provider") == address]
    assert found
    for failure in found:
        assert failure["reason"] in attack.reasons, failure
        # What a lease left undecided is the provider's once the same revision serves elsewhere.
        assert failure["blame"] in {attack.blame, "Provider"}, failure


@each_attack
async def test_an_event_says_why(downfall: Downfall, attack: Attack) -> None:
    events = downfall.outcomes[attack.name].events
    told = [f"{each['reason']}: {each['message']}" for each in events]
    assert [
        each for each in told if each.partition(":")[0] in attack.reasons and attack.says in each
    ], told


@each_attack
async def test_no_secret_is_released(downfall: Downfall, attack: Attack) -> None:
    """An offer is on record before it is sent, so what has no record was never sent."""
    offered = [each for lease in struck(downfall, attack) for each in lease["status"]["secrets"]]
    assert bool(offered) == attack.releases, offered
    seen = await downfall.seen(attack.name)
    assert seen
    assert holding(downfall.outcomes[attack.name].canary, seen) == []


@each_attack
async def test_no_request_reaches_an_impostor(downfall: Downfall, attack: Attack) -> None:
    """Nothing is routed to what was never Ready; and no client says a word that can be read."""
    if not attack.once_ready:
        assert "Ready" not in [each for lease in struck(downfall, attack) for each in phases(lease)]
    seen = await downfall.seen(attack.name)
    spoken = {name: data for name, data in seen.items() if name != "requests"}
    assert spoken
    assert [name for name, data in spoken.items() if b"HTTP/1" in data] == []


@each_attack
async def test_it_moves_to_another_provider(downfall: Downfall, attack: Attack) -> None:
    (moved,) = downfall.outcomes[attack.name].at(downfall.addresses[HAVEN])
    assert "Ready" in phases(moved)
    assert [each["name"] for each in moved["status"]["secrets"]] == [attack.name]
