"""What a lease tells of the signs of a hijack: once each, with what to do."""

from __future__ import annotations

from dataclasses import replace

from garrison.api.egress import DeniedStatus
from garrison.api.lease import BusyStatus, LeaseEgress, LeaseStatus
from garrison.controllers.stories import lease_notes
from tests.builders import NOW, at, lease

BUSY = BusyStatus(since=NOW, message="4.0 cores and the GPU at 0%")
POOL = DeniedStatus(
    destination="pool.example", port=3333, process="xmr", count=3, last_seen=NOW, mining="Stratum"
)
HUB = replace(POOL, destination="hub.example", port=443, mining=None)


def egress(*denied: DeniedStatus, policy: str | None = None) -> LeaseEgress:
    return LeaseEgress(digest="a" * 64, version=1, denied=denied, policy=policy)


def told(before: LeaseStatus, after: LeaseStatus) -> list[str]:
    notes = lease_notes(replace(lease("Ready"), status=before), after)
    assert all(each.type == "Warning" for each in notes)
    return [each.reason for each in notes]


def test_each_beginning_of_being_busy_while_idle_is_told_once_with_what_to_do() -> None:
    quiet = LeaseStatus(phase="Ready")
    busy, over = (
        replace(quiet, busy_while_idle=BUSY),
        replace(quiet, busy_while_idle=replace(BUSY, until=at(60))),
    )
    again = replace(quiet, busy_while_idle=replace(BUSY, times=2))
    assert told(quiet, busy) == ["BusyWhileIdle"]
    assert told(busy, busy) == []
    assert told(busy, over) == []
    assert told(over, again) == ["BusyWhileIdle"]
    (note,) = lease_notes(replace(lease("Ready"), status=quiet), busy)
    assert "garrison shell iw/chat" in note.message
    assert "4.0 cores" in note.message


def test_a_mining_pool_is_told_on_the_lease_where_no_policy_tells_it() -> None:
    clean = LeaseStatus(phase="Ready", egress=egress(HUB))
    mined = LeaseStatus(phase="Ready", egress=egress(HUB, POOL))
    assert told(clean, mined) == ["MiningPoolDenied"]
    assert told(LeaseStatus(phase="Ready"), mined) == ["MiningPoolDenied"]
    assert told(mined, mined) == []
    under_policy = LeaseStatus(phase="Ready", egress=egress(POOL, policy="model-hub"))
    assert told(clean, under_policy) == []


def test_both_are_told_beside_a_phase() -> None:
    before = LeaseStatus(phase="Verifying")
    after = LeaseStatus(phase="Ready", busy_while_idle=BUSY, egress=egress(POOL), provider="p1")
    reasons = [each.reason for each in lease_notes(replace(lease(), status=before), after)]
    assert reasons == ["Ready", "BusyWhileIdle", "MiningPoolDenied"]
