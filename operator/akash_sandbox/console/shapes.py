"""The market's records as the Console writes them."""

from __future__ import annotations

import base64
from typing import Any

from akash_sandbox.market import ids
from akash_sandbox.market.bid import Bid
from akash_sandbox.market.decimals import UNIT, parsed, text
from akash_sandbox.market.deployment import Deployment, Group
from akash_sandbox.market.lease import Lease

Json = dict[str, Any]

_ENDPOINTS = {0: "SHARED_HTTP", 1: "RANDOM_PORT", 2: "LEASED_IP"}


def coin(amount: int, denom: str = "uact") -> Json:
    """Return an amount as the chain writes it, with 18 decimals."""
    return {"denom": denom, "amount": text(amount)}


def deployment(found: Deployment) -> Json:
    return {
        "id": ids.deployment(found),
        "state": found.state.value,
        "hash": base64.b64encode(bytes.fromhex(found.hash)).decode(),
        "created_at": str(found.created_at),
    }


def escrow_account(found: Deployment) -> Json:
    return {"id": {"scope": "deployment", "xid": found.id}, "state": _escrow(found)}


def lease(found: Deployment, leased: Lease) -> Json:
    body: Json = {
        "id": ids.bid(found, leased.gseq, leased.oseq, leased.provider),
        "state": leased.state.value,
        "price": coin(leased.price),
        "created_at": str(leased.created_at),
        "closed_on": str(leased.closed_on),
        "reason": leased.reason.value,
    }
    if leased.reclamation is not None:
        body["reclamation"] = {
            "window": f"{leased.reclamation.window_seconds}s",
            "started_at": str(leased.reclamation.started_at),
            "deadline": str(leased.reclamation.deadline),
            "reason": leased.reclamation.reason.value,
        }
    return body


def payment(found: Deployment, leased: Lease) -> Json:
    """Return the escrow payment of a lease."""
    return {
        "id": {
            "aid": {"scope": "deployment", "xid": found.id},
            "xid": f"{leased.gseq}/{leased.oseq}/{leased.provider}",
        },
        "state": {
            "owner": leased.provider,
            "state": _payment_state(leased),
            "rate": coin(leased.price),
            "balance": coin(leased.balance),
            "unsettled": coin(leased.unsettled),
            "withdrawn": {"denom": "uact", "amount": str(leased.withdrawn)},
        },
    }


def bid(found: Deployment, offered: Bid) -> Json:
    """Return a bid with its escrow account, as the bid list has it."""
    return {
        "bid": {
            "id": ids.bid(found, offered.gseq, offered.oseq, offered.provider),
            "state": offered.state.value,
            "price": coin(offered.price),
            "created_at": str(offered.created_at),
            "resources_offer": offer(found, offered),
        },
        "escrow_account": bid_escrow(found, offered),
    }


def offer(found: Deployment, offered: Bid) -> list[Json]:
    """Return what a provider would assign."""
    if offered.offer:
        return list(offered.offer)
    return [_offer(unit, offered) for unit in found.group(offered.gseq).spec["resources"]]


def group(found: Deployment, shown: Group) -> Json:
    return {
        "id": ids.group(found, shown.gseq),
        "state": shown.state.value,
        "group_spec": group_spec(shown),
        "created_at": str(found.created_at),
    }


def group_spec(shown: Group) -> Json:
    """Return a group's resources, requirements and prices."""
    needs = shown.spec["requirements"]
    signed = needs["signed_by"]
    requirements = {
        "signed_by": {
            "all_of": list(signed["all_of"] or ()),
            "any_of": list(signed["any_of"] or ()),
        },
        "attributes": list(needs["attributes"] or ()),
    }
    units = [_unit(unit) for unit in shown.spec["resources"]]
    return {"name": shown.name, "requirements": requirements, "resources": units}


def resources(resource: Json) -> Json:
    """Return a resource with every list present, however empty."""
    return {
        "id": resource["id"],
        "cpu": _attributed(resource["cpu"]),
        "memory": _attributed(resource["memory"]),
        "storage": [_attributed(volume) for volume in resource["storage"]],
        "gpu": _attributed(resource["gpu"]),
        "endpoints": [
            {"kind": _kind(e.get("kind", 0)), "sequence_number": e["sequence_number"]}
            for e in resource["endpoints"]
        ],
    }


def _kind(kind: int | str) -> str:
    """Return an endpoint's kind by its name; SDL has numbers, the chain's messages have names."""
    return kind if isinstance(kind, str) else _ENDPOINTS[kind]


def _attributed(value: Json) -> Json:
    return {**value, "attributes": list(value.get("attributes") or ())}


def _unit(unit: Json) -> Json:
    price = {"denom": unit["price"]["denom"], "amount": text(parsed(unit["price"]["amount"]))}
    return {"resource": resources(unit["resource"]), "count": unit["count"], "price": price}


def _offer(unit: Json, offered: Bid) -> Json:
    assigned = resources(unit["resource"])
    if offered.gpu_key:
        named = [{"key": offered.gpu_key, "value": "true"}]
        assigned["gpu"] = {**assigned["gpu"], "attributes": named}
    return {"resources": assigned, "count": unit["count"]}


def _payment_state(leased: Lease) -> str:
    if leased.is_open:
        return "open"
    return "overdrawn" if leased.unsettled else "closed"


def _escrow(found: Deployment) -> Json:
    escrow = found.escrow
    paid = {"uact": escrow.transferred}
    return {
        "owner": found.owner,
        "state": escrow.state.value,
        "transferred": [coin(paid.get(denom, 0), denom) for denom in escrow.denoms],
        "settled_at": str(escrow.settled_at),
        "funds": [coin(escrow.funds(denom), denom) for denom in escrow.denoms],
        "deposits": [
            {
                "owner": part.owner,
                "height": str(part.height),
                "source": part.source.value,
                "balance": coin(part.balance, part.denom),
            }
            for part in escrow.deposits
        ],
    }


def bid_escrow(found: Deployment, offered: Bid) -> Json:
    """Return the account of a bid's deposit."""
    held = offered.deposit * UNIT
    deposit = {
        "owner": offered.payer or offered.provider,
        "height": str(offered.created_at),
        "source": offered.source.value,
        "balance": coin(held, offered.denom),
    }
    place = f"{found.id}/{offered.gseq}/{offered.oseq}/{offered.provider}"
    return {
        "id": {"scope": "bid", "xid": place},
        "state": {
            "owner": offered.provider,
            "state": "open" if held else "closed",
            "transferred": [coin(0, offered.denom)],
            "settled_at": str(offered.closed_at or offered.created_at),
            "funds": [coin(held, offered.denom)],
            "deposits": [deposit] if held else [],
        },
    }
