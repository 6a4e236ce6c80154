"""Who gets traffic: Ready replicas, and leaving ones only for the connections they have."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from garrison.api.lease import PHASES, EndpointStatus, LeaseFailure
from garrison.core.traffic import backends
from tests.builders import NOW, lease
from tests.unit.core.observations import World, worlds

ENDPOINT = EndpointStatus(host="p1.example", port=31000)


@pytest.mark.parametrize("phase", PHASES)
def test_only_ready_and_draining_replicas_are_backends(phase: str) -> None:
    found = backends([lease(phase, endpoint=ENDPOINT)])
    assert [each.draining for each in found] == {"Ready": [False], "Draining": [True]}.get(
        phase, []
    )


def test_a_failed_one_is_none_and_a_deleted_one_drains() -> None:
    failure = LeaseFailure(reason="Unhealthy", blame="Undecided", at=NOW)
    assert backends([lease("Ready", endpoint=ENDPOINT, failure=failure)]) == ()
    assert backends([lease("Ready")]) == ()
    (leaving,) = backends([lease("Ready", endpoint=ENDPOINT, deleting=True)])
    assert leaving.draining


@given(worlds())
def test_nothing_that_is_not_ready_gets_new_connections(world: World) -> None:
    leases = [
        replace(each, meta=replace(each.meta, name=f"chat-{number}"))
        for number, each in enumerate(world.lease() for _ in range(6))
    ]
    by_name = {each.meta.name: each for each in leases}
    found = backends(leases)
    assert [each.lease for each in found] == sorted(each.lease for each in found)
    for each in found:
        if not each.draining:
            assert by_name[each.lease].status.phase == "Ready"
            assert by_name[each.lease].status.failure is None
            assert not by_name[each.lease].meta.deleting
