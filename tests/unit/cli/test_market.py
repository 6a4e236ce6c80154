"""``garrison account`` and ``garrison providers``."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from garrison.api.account import AccountStatus, EscrowStatus, Grant, Stranger
from garrison.api.lease import BidStatus, DeploymentStatus, Lease, TimingStatus
from garrison.api.meta import LEASE, Condition
from tests.builders import NOW, account, lease, provider, workload
from tests.unit.cli.cluster import Cluster, document, invoked

STATUS = AccountStatus(
    address="akash1treasury",
    balance="123.45",
    fee_balance="6.5",
    escrowed="31.25",
    escrows=(EscrowStatus(deployment="100", lease="prod/chat-1", provider="p1", left="30.75"),),
    burn_per_hour="1.5",
    runway_hours=82,
    open_leases=1,
    grants=(Grant(lease="u", namespace="prod", name="chat-1", price_per_hour="2", at=NOW),),
    strangers=(Stranger(deployment="77", kind="Foreign"),),
)


def rented(name: str = "chat-1", hours: float = 2, **fields: Any) -> Lease:
    taken = TimingStatus(phase="Deploying", at=datetime.now(UTC) - timedelta(hours=hours))
    placed = DeploymentStatus(id="100", marker="m", ordered_at=NOW)
    found = lease(
        "Ready",
        name=name,
        deployment=placed,
        provider="p1",
        price_per_hour="1.5",
        timings=(taken,),
        bids=(BidStatus(provider="p1", price_per_hour="1.5", verdict="Chosen"),),
    )
    return replace(found, status=replace(found.status, **fields))


def cluster(*leases: Lease, forbidden: tuple[tuple[str, str], ...] = ()) -> Cluster:
    found = [
        document(account(status=STATUS, default=True)),
        document(workload("h100")),
        document(provider("p1", "h100", uptime7d=998)),
        document(provider("p2", "a100")),
        *(document(each) for each in leases),
    ]
    return Cluster(found, forbidden)


def test_an_account_with_what_each_lease_costs() -> None:
    closed = rented("chat-2", closed_at=NOW)
    result = invoked(cluster(rented(), closed), "account")
    assert result.exit_code == 0, result.output
    words = result.output.split()
    for each in ("treasury", "akash1treasury", "123.45", "82", "chat-1", "p1", "Ready"):
        assert each in words
    assert "1.5 $/h of 10 allowed" in result.output
    assert "fees     6.5 AKT" in result.output
    assert "escrow   31.25 $" in result.output
    assert "30.75" in words
    assert "foreign  deployment 77: no AkashLease owns it" in result.output
    assert "chat-2" not in result.output
    (found,) = json.loads(invoked(cluster(rented(), closed), "account", "-o", "json").output)
    assert (found["runwayHours"], found["maxLeases"]) == (82, 5)
    (lease_found,) = found["leases"]
    assert lease_found["pricePerHour"] == "1.5"
    assert 3.0 <= float(lease_found["costSoFar"]) < 3.01
    assert (found["escrowed"], lease_found["escrow"]) == ("31.25", "30.75")


def test_figures_of_a_market_that_does_not_answer_are_said_to_be_old() -> None:
    down = "no node of the chain can be used: https://n1: it has not answered yet"
    conditions = tuple(
        Condition(
            type=name,
            status="False" if name == "Ready" else "True",
            reason="Unavailable",
            message=down,
            observed_generation=1,
            last_transition_time=NOW,
        )
        for name in ("Ready", "Funded")
    )
    stale = document(account(status=replace(STATUS, conditions=conditions), default=True))
    text = invoked(Cluster([stale]), "account").output
    assert f"  Ready is False: {down}\n" in text
    assert "Funded is" not in text
    (found,) = json.loads(invoked(Cluster([stale]), "account", "-o", "json").output)
    assert [(each["type"], each["message"]) for each in found["problems"]] == [("Ready", down)]


def test_without_the_right_to_list_leases_the_ledger_is_shown() -> None:
    result = invoked(cluster(rented(), forbidden=((LEASE.kind, ""),)), "account", "treasury")
    assert result.exit_code == 0
    assert "you may not list AkashLeases everywhere" in result.output
    assert "chat-1" in result.output.split()
    found = invoked(cluster(forbidden=((LEASE.kind, ""),)), "account", "-o", "json")
    assert json.loads(found.stdout)[0]["leases"][0]["pricePerHour"] == "2"


def test_accounts_that_are_not_there() -> None:
    assert "AkashAccount vault does not exist" in invoked(cluster(), "account", "vault").output
    assert "there is no AkashAccount" in invoked(Cluster([]), "account").output


def test_providers_for_a_workload() -> None:
    result = invoked(cluster(rented()), "providers", "iw/chat", "-n", "prod")
    assert result.exit_code == 0, result.output
    assert "1 of 2 known providers could host" in result.output
    assert "GPU: has a100" in result.output
    found = json.loads(
        invoked(cluster(rented()), "providers", "chat", "-n", "prod", "-o", "json").output
    )
    assert [(each["provider"], each["couldHost"]) for each in found] == [
        ("p1", True),
        ("p2", False),
    ]
    assert (found[0]["pricePerHour"], found[0]["uptime7d"]) == ("1.50", 0.998)


def test_providers_without_a_workload() -> None:
    found = json.loads(invoked(cluster(), "providers", "-o", "json").output)
    assert all(each["couldHost"] for each in found)
    assert "no provider is known yet" in invoked(Cluster([]), "providers").output
    assert "does not exist" in invoked(cluster(), "providers", "iw/x", "-n", "prod").output
