"""What a lease tells: of its money what is true, and of the signs of a hijack once what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from garrison.api.account import AccountStatus
from garrison.api.egress import DeniedStatus
from garrison.api.lease import (
    PHASES,
    BenchmarkStatus,
    BusyStatus,
    DeploymentStatus,
    LeaseEgress,
    LeaseStatus,
    SentinelStatus,
)
from garrison.api.meta import Condition, ConditionStatus
from garrison.api.workload import Blame, FailureStatus, WorkloadStatus
from garrison.controllers.stories import (
    FOLLOWS,
    QUIET,
    WARNED,
    account_warnings,
    lease_notes,
    workload_notes,
)
from garrison.core.benchmark import SERVES_ON
from garrison.core.egress import in_force
from garrison.core.fleet import TERMINAL
from garrison.core.winding import RELEASED
from garrison.ports.sentinel import EgressView
from tests.builders import NOW, account, at, lease, workload

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


def test_an_audit_is_told_to_have_let_a_pool_through() -> None:
    audit = replace(egress(POOL), mode="Audit", level="DeclaredOnly")
    after = LeaseStatus(phase="Ready", egress=audit)
    (note,) = lease_notes(replace(lease("Ready"), status=LeaseStatus(phase="Ready")), after)
    assert note.reason == "MiningPoolReached"
    assert "was let through" in note.message
    assert "refused" not in note.message


def test_a_sign_is_told_as_what_it_is() -> None:
    port = replace(POOL, mining="pool-port")
    after = LeaseStatus(phase="Ready", egress=egress(port))
    (note,) = lease_notes(replace(lease("Ready"), status=LeaseStatus(phase="Ready")), after)
    assert "(a port that mining pools use) and was refused" in note.message


def test_a_name_that_is_only_looked_up_has_no_port() -> None:
    name = replace(POOL, protocol="dns", port=53, process="")
    after = LeaseStatus(phase="Ready", egress=egress(name))
    (note,) = lease_notes(replace(lease("Ready"), status=LeaseStatus(phase="Ready")), after)
    assert note.message.startswith("a process asked for the name pool.example (")


def entered(*programs: str) -> LeaseStatus:
    sentinel = SentinelStatus(
        instance="a" * 32,
        key="b" * 64,
        certificate_until=at(3600),
        enrolled_at=NOW,
        entered=programs,
    )
    return LeaseStatus(phase="Ready", provider="p1", sentinel=sentinel)


def test_each_program_from_outside_is_told_once_with_what_to_do() -> None:
    assert told(LeaseStatus(phase="Ready"), entered()) == []
    assert told(entered(), entered("/bin/sh")) == ["EnteredFromOutside"]
    assert told(entered("/bin/sh"), entered("/bin/sh")) == []
    assert told(entered("/bin/sh"), entered("/bin/sh", "/tmp/x")) == ["EnteredFromOutside"]
    (note,) = lease_notes(replace(lease("Ready"), status=entered()), entered("/bin/sh"))
    assert note.message.startswith("/bin/sh at p1 was started from outside")
    assert "garrison shell iw/chat" in note.message


def connected(*destinations: str) -> LeaseStatus:
    record = LeaseEgress(digest="", version=1)
    view = EgressView(version=1, level="Enforced", remaining=destinations)
    return LeaseStatus(phase="Ready", egress=in_force(record, view), provider="p1")


def test_connections_that_live_on_are_told_once_and_so_is_their_end() -> None:
    assert told(LeaseStatus(phase="Ready"), connected()) == []
    assert told(connected(), connected("203.0.113.7:443")) == ["StillConnected"]
    assert told(connected("203.0.113.7:443"), connected("203.0.113.8:443")) == []
    (closed,) = lease_notes(
        replace(lease("Ready"), status=connected("203.0.113.8:443")), connected()
    )
    assert (closed.type, closed.reason) == ("Normal", "ConnectionsClosed")
    after = connected("203.0.113.7:443")
    (note,) = lease_notes(replace(lease("Ready"), status=connected()), after)
    assert "203.0.113.7:443" in note.message
    assert "garrison shell iw/chat" in note.message


def test_both_are_told_beside_a_phase() -> None:
    before = LeaseStatus(phase="Verifying")
    after = LeaseStatus(phase="Ready", busy_while_idle=BUSY, egress=egress(POOL), provider="p1")
    reasons = [each.reason for each in lease_notes(replace(lease(), status=before), after)]
    assert reasons == ["Ready", "BusyWhileIdle", "MiningPoolDenied"]


def story(phase: str, **status: Any) -> str:
    """Return what the Event of entering a phase says."""
    before = replace(lease(), status=LeaseStatus(phase="Leasing"))
    (note,) = lease_notes(before, LeaseStatus(phase=phase, provider="p1", **status))
    assert (note.type, note.reason) == ("Normal", phase)
    return note.message


ORDERED = DeploymentStatus(id="17", marker="m", ordered_at=NOW)
PAID_NO_MORE = "nothing is paid"


@pytest.mark.parametrize("phase", [each for each in PHASES if each not in {*QUIET, *TERMINAL}])
def test_no_phase_of_a_lease_that_may_be_paid_says_that_nothing_is(phase: str) -> None:
    assert PAID_NO_MORE not in story(phase, deployment=ORDERED)


def test_only_a_verified_close_says_that_nothing_is_paid() -> None:
    ended = {"deployment": ORDERED, "closed_at": NOW}
    assert PAID_NO_MORE in story("Closed", close_reason="Deleted", **ended)
    assert PAID_NO_MORE in story("Closed", close_reason="Deleted", closed_at=NOW)
    released = story("Closed", close_reason=RELEASED, **ended)
    assert PAID_NO_MORE not in released
    assert "deployment 17 runs on and is paid" in released


def test_a_notice_of_the_provider_is_told_once_with_what_follows() -> None:
    quiet = LeaseStatus(phase="Ready", provider="p1")
    noticed = replace(quiet, reclaim_deadline=at(3600))
    assert told(quiet, noticed) == ["ReclaimNotice"]
    assert told(noticed, noticed) == []
    assert told(noticed, quiet) == []


def measured(rate: str, **fields: Any) -> LeaseStatus:
    figures = BenchmarkStatus(
        passed=rate == "65.0",
        tokens_per_second=rate,
        time_to_first_token_milliseconds=120,
        requests=4,
        message="m",
        at=NOW,
    )
    return LeaseStatus(phase="Ready", provider="p1", benchmark=replace(figures, **fields))


def test_a_repeat_that_fails_is_told_once_and_that_it_passes_again() -> None:
    good, slow = measured("65.0"), measured("1.0")
    assert told(good, slow) == ["BenchmarkFailed"]
    assert told(slow, measured("2.0", at=at(3600))) == []
    assert told(good, measured("0.0", requests=0)) == ["BenchmarkNoAnswer"]
    (note,) = lease_notes(replace(lease(), status=slow), good)
    assert (note.type, note.reason) == ("Normal", "BenchmarkPassed")
    assert told(good, replace(good, drain_until=NOW)) == []
    (note,) = lease_notes(replace(lease(), status=good), slow)
    assert note.type == "Warning"
    assert SERVES_ON in note.message


def said(type_: str, reason: str, status: ConditionStatus = "True") -> Condition:
    return Condition(
        type=type_, status=status, reason=reason, message="do this", last_transition_time=NOW
    )


def waits(before: str | None, after: str, **status: Any) -> list[tuple[str, str, str]]:
    """Return (type, reason, message) of the Events when what is waited for changes."""
    known = (said("Reconciling", before),) if before is not None else ()
    of = replace(workload(), status=WorkloadStatus(conditions=known))
    then = WorkloadStatus(conditions=(said("Reconciling", after),), **status)
    return [(each.type, each.reason, each.message) for each in workload_notes(of, then)]


def test_what_a_workload_waits_for_is_told_once_when_a_person_can_do_something() -> None:
    assert waits(None, "TooManyLeases") == [("Warning", "TooManyLeases", "do this")]
    assert waits("Progressing", "MarketUnavailable") == [
        ("Warning", "MarketUnavailable", "do this")
    ]
    assert waits("TooManyLeases", "TooManyLeases") == []
    assert waits("TooManyLeases", "Progressing") == []
    assert waits(None, "CheckingImage") == []


@pytest.mark.parametrize("blame", FOLLOWS)
def test_a_failed_replica_is_told_once_with_what_follows(blame: Blame) -> None:
    failure = FailureStatus(
        lease="u1",
        revision="r",
        provider="p1",
        reason="Unhealthy",
        message="m",
        blame=blame,
        at=NOW,
    )
    (told_once,) = waits("Progressing", "Unhealthy", failures=(failure,))
    assert told_once == (
        "Warning",
        "ReplicaFailed",
        f"replica at p1: Unhealthy: m; {FOLLOWS[blame]}",
    )


@pytest.mark.parametrize("type_", WARNED)
def test_an_account_warns_once_when_a_condition_turns_false(type_: str) -> None:
    good = AccountStatus(conditions=(said(type_, "Fine"),))
    bad, worse = (
        AccountStatus(conditions=(said(type_, reason, "False"),)) for reason in ("Empty", "Worse")
    )

    def warned(before: AccountStatus, after: AccountStatus) -> list[tuple[str, str]]:
        of = replace(account(), status=before)
        return [(each.reason, each.message) for each in account_warnings(of, after)]

    assert warned(good, bad) == [("Empty", "do this")]
    assert warned(AccountStatus(), bad) == [("Empty", "do this")]
    assert warned(bad, worse) == []
    assert warned(bad, good) == []
