"""What a waiting workload is told: the account's trouble, a ceiling, or the last failure."""

from __future__ import annotations

import pytest

from garrison.api.account import Account, AccountStatus
from garrison.api.meta import Condition, ConditionStatus
from garrison.api.workload import FailureStatus
from garrison.core.hindrance import unusable, waits_for
from tests.builders import NOW, account, lease

FAILURE = FailureStatus(
    lease="u1", revision="new", reason="NoBids", message="h100: nobody bid", blame="Nobody", at=NOW
)


def told(type_: str, reason: str, status: ConditionStatus = "False") -> Account:
    said = Condition(
        type=type_, status=status, reason=reason, message="do this", last_transition_time=NOW
    )
    return account(AccountStatus(conditions=(said,)))


@pytest.mark.parametrize(
    ("reason", "status", "needs_a_person"),
    [
        ("Unauthorized", "False", True),
        ("InvalidSpec", "False", True),
        ("Unavailable", "False", False),
        ("RateLimited", "False", False),
        ("Reachable", "True", False),
        ("NotRead", "Unknown", False),
    ],
)
def test_an_account_is_unusable_only_when_a_person_must_act(
    reason: str, status: ConditionStatus, needs_a_person: bool
) -> None:
    found = unusable(told("Ready", reason, status))
    assert (found is not None) == needs_a_person
    if found is not None:
        assert (found.reason, found.message) == (
            "AccountNotReady",
            "AkashAccount 'treasury': do this",
        )


def test_no_account_is_no_new_trouble() -> None:
    assert unusable(None) is None
    assert unusable(account()) is None
    assert waits_for(None, [lease("Pending")], [], 0) is None


def test_a_ceiling_is_named_while_a_lease_waits_for_it() -> None:
    full = told("WithinLimits", "TooManyLeases")
    found = waits_for(full, [lease("Pending")], [FAILURE], 1)
    assert found is not None
    assert (found.reason, found.message) == ("TooManyLeases", "AkashAccount 'treasury': do this")
    assert waits_for(full, [lease("Bidding")], [], 0) is None
    assert waits_for(full, [lease("Pending", deleting=True)], [], 0) is None


def test_a_silent_market_is_named() -> None:
    found = waits_for(told("Ready", "Unavailable"), [lease("Bidding")], [], 0)
    assert found is not None
    assert found.reason == "MarketUnavailable"


def test_the_last_failure_is_named_until_the_workload_serves() -> None:
    found = waits_for(account(), [lease("Bidding")], [FAILURE], 1)
    assert found is not None
    assert found.reason == "NoBids"
    assert "h100: nobody bid" in found.message
    assert waits_for(account(), [lease("Bidding")], [FAILURE], 0) is None
