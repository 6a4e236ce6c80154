"""The market's records as the Console writes them."""

from __future__ import annotations

import base64
from typing import Any

from akash_sandbox.market.bid import Bid
from akash_sandbox.market.deployment import Deployment, Group
from akash_sandbox.market.escrow import Escrow, EscrowState
from akash_sandbox.market.lease import Lease

Json = dict[str, Any]

_ENDPOINTS = {0: "SHARED_HTTP", 1: "RANDOM_PORT"}


def coin(amount: int) -> Json:
    """Return uact as the chain writes them: 18 decimals."""
    return {"denom": "uact", "amount": f"{amount}.{'0' * 18}"}


def deployment(owner: str, found: Deployment) -> Json:
    return {
        "id": {"owner": owner, "dseq": found.dseq},
        "state": found.state.value,
        "hash": base64.b64encode(bytes.fromhex(found.hash)).decode(),
        "created_at": str(found.created_at),
    }


def escrow_account(owner: str, found: Deployment) -> Json:
    return {
        "id": {"scope": "deployment", "xid": f"{owner}/{found.dseq}"},
        "state": _escrow(owner, found.escrow),
    }


def lease(owner: str, dseq: str, found: Lease) -> Json:
    body: Json = {
        "id": _lease_id(owner, dseq, found.gseq, found.oseq, found.provider),
        "state": found.state.value,
        "price": coin(found.price),
        "created_at": str(found.created_at),
        "closed_on": str(found.closed_on),
        "reason": found.reason.value,
    }
    if found.reclamation is not None:
        body["reclamation"] = {
            "window": f"{found.reclamation.window_seconds}s",
            "started_at": str(found.reclamation.started_at),
            "deadline": str(found.reclamation.deadline),
            "reason": "lease_closed_reason_decommission",
        }
    return body


def payment(owner: str, dseq: str, found: Lease) -> Json:
    """Return the escrow payment of a lease; the market settles in full, so nothing is pending."""
    nothing = coin(0)
    return {
        "id": {
            "aid": {"scope": "deployment", "xid": f"{owner}/{dseq}"},
            "xid": f"{found.gseq}/{found.oseq}/{found.provider}",
        },
        "state": {
            "owner": found.provider,
            "state": "open" if found.is_open else "closed",
            "rate": coin(found.price),
            "balance": nothing,
            "unsettled": nothing,
            "withdrawn": nothing,
        },
    }


def bid(owner: str, found: Deployment, offered: Bid) -> Json:
    """Return a bid with its escrow account, as the bid list has it."""
    return {
        "bid": {
            "id": _lease_id(owner, found.dseq, offered.gseq, offered.oseq, offered.provider),
            "state": offered.state.value,
            "price": coin(offered.price),
            "created_at": str(offered.created_at),
            "resources_offer": [_offer(unit, offered) for unit in _units(found, offered)],
        },
        "escrow_account": _bid_escrow(owner, found.dseq, offered),
    }


def group(owner: str, dseq: str, found: Group, created_at: int) -> Json:
    spec = found.spec
    return {
        "id": {"owner": owner, "dseq": dseq, "gseq": found.gseq},
        "state": found.state.value,
        "group_spec": {**spec, "resources": [_unit(unit) for unit in spec["resources"]]},
        "created_at": str(created_at),
    }


def resources(resource: Json) -> Json:
    """Return a resource with every list present, however empty."""
    return {
        "id": resource["id"],
        "cpu": _attributed(resource["cpu"]),
        "memory": _attributed(resource["memory"]),
        "storage": [_attributed(volume) for volume in resource["storage"]],
        "gpu": _attributed(resource["gpu"]),
        "endpoints": [
            {"kind": _ENDPOINTS[e.get("kind", 0)], "sequence_number": e["sequence_number"]}
            for e in resource["endpoints"]
        ],
    }


def _attributed(value: Json) -> Json:
    return {**value, "attributes": list(value.get("attributes") or ())}


def _unit(unit: Json) -> Json:
    return {**unit, "resource": resources(unit["resource"])}


def _units(found: Deployment, offered: Bid) -> list[Json]:
    units: list[Json] = found.group(offered.gseq).spec["resources"]
    return units


def _offer(unit: Json, offered: Bid) -> Json:
    offer = resources(unit["resource"])
    offer.pop("id")
    if offered.gpu_key:
        offer["gpu"] = {**offer["gpu"], "attributes": [{"key": offered.gpu_key, "value": "true"}]}
    return {"resources": offer, "count": unit["count"]}


def _lease_id(owner: str, dseq: str, gseq: int, oseq: int, provider: str) -> Json:
    return {
        "owner": owner,
        "dseq": dseq,
        "gseq": gseq,
        "oseq": oseq,
        "provider": provider,
        "bseq": 0,
    }


def _escrow(owner: str, found: Escrow) -> Json:
    # An overdrawn account shows its debt as negative funds.
    funds = -found.debt if found.state is EscrowState.OVERDRAWN else found.funds
    balance = found.deposited if found.state is EscrowState.OPEN else 0
    deposit = {
        "owner": owner,
        "height": str(found.opened_at),
        "source": "balance",
        "balance": coin(balance),
    }
    return {
        "owner": owner,
        "state": found.state.value,
        "transferred": [coin(found.transferred)],
        "settled_at": str(found.settled_at),
        "funds": [coin(funds)],
        "deposits": [deposit] if balance else [],
    }


def _bid_escrow(owner: str, dseq: str, offered: Bid) -> Json:
    xid = f"{owner}/{dseq}/{offered.gseq}/{offered.oseq}/{offered.provider}"
    return {
        "id": {"scope": "bid", "xid": xid},
        "state": {
            "owner": offered.provider,
            "state": "open",
            "transferred": [],
            "settled_at": str(offered.created_at),
            "funds": [coin(500_000)],
            "deposits": [],
        },
    }
