"""The market's records as the chain writes them, where the Console does it differently."""

from __future__ import annotations

from typing import Any

from akash_sandbox.console import shapes
from akash_sandbox.market import ids
from akash_sandbox.market.bid import Bid
from akash_sandbox.market.deployment import Deployment, Group
from akash_sandbox.market.lease import CloseReason, Lease
from akash_sandbox.market.order import Order

Json = dict[str, Any]


def deployment(found: Deployment) -> Json:
    """Return a deployment with its groups and its escrow account."""
    return {
        "deployment": {**shapes.deployment(found), "reclamation": _least(found)},
        "groups": [group(found, each) for each in found.groups],
        "escrow_account": shapes.escrow_account(found),
    }


def group(found: Deployment, shown: Group) -> Json:
    return shapes.group(found, shown)


def order(found: Deployment, shown: Order) -> Json:
    return {
        "id": ids.order(found, shown.gseq, shown.oseq),
        "state": shown.state.value,
        "spec": shapes.group_spec(found.group(shown.gseq)),
        "created_at": str(shown.created_at),
        "reclamation": _least(found),
    }


def bid(found: Deployment, offered: Bid) -> Json:
    """Return a bid with the account of its deposit."""
    window = f"{offered.window_seconds}s" if offered.window_seconds else None
    offer = [_offered(found, offered, index) for index in range(len(_units(found, offered)))]
    body = {**shapes.bid(found, offered)["bid"], "resources_offer": offer}
    return {
        "bid": {**body, "reclamation_window": window},
        "escrow_account": shapes.bid_escrow(found, offered),
    }


def lease(found: Deployment, leased: Lease) -> Json:
    """Return a lease with its payment."""
    body = {**shapes.lease(found, leased), "reclamation": _notice(leased)}
    return {"lease": body, "escrow_payment": shapes.payment(found, leased)}


def _units(found: Deployment, offered: Bid) -> list[Json]:
    return shapes.offer(found, offered)


def _offered(found: Deployment, offered: Bid, index: int) -> Json:
    offer = _units(found, offered)[index]
    resource = offer["resources"]
    shown = shapes.resources({"id": index + 1, **resource})
    return {"resources": shown, "count": offer["count"], "prices": offer.get("prices")}


def _least(found: Deployment) -> Json | None:
    return None if found.reclamation is None else {"min_window": f"{found.reclamation}s"}


def _notice(leased: Lease) -> Json | None:
    given = leased.reclamation
    if given is None and not leased.window_seconds:
        return None
    return {
        "window": f"{given.window_seconds if given else leased.window_seconds}s",
        "started_at": str(given.started_at if given else 0),
        "deadline": str(given.deadline if given else 0),
        "reason": (given.reason if given else CloseReason.NONE).value,
    }
