"""What the chain itself says about an account: its deployments, its transactions, its money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from akash_proto import decimals
from tests.akash_node.parties import Party

DEPLOYMENTS = "/akash/deployment/v1beta4/deployments/list"
LEASES = "/akash/market/v1beta5/leases/list"
TXS = "/cosmos/tx/v1beta1/txs"
LEDGER = "/akash/bme/v1/ledger"
_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """``rent``, ``minted`` in uact, ``fees``, ``burned`` in uakt; ``mints`` have been decided."""

    uact: int
    uakt: int
    rent: int
    fees: int
    burned: int
    minted: int
    mints: int
    markers: tuple[str, ...]
    """of every deployment that ever was"""
    open: tuple[str, ...]
    """numbers of the deployments that are open"""


async def audit(party: Party) -> Books:
    """Read the books of an account. All its leases must be closed."""
    deployments = await party.nodes.pages(DEPLOYMENTS, _filters(party, "owner"), "deployments")
    leases = await party.nodes.pages(LEASES, _filters(party, "owner"), "leases")
    mints = await party.nodes.pages(LEDGER, _filters(party, "source"), "records")
    executed = [each["executed_record"] for each in mints if each.get("executed_record")]
    return Books(
        uact=await party.coins("uact"),
        uakt=await party.coins("uakt"),
        rent=sum(_rent(each["lease"]) for each in leases),
        fees=sum(map(_fee, await _transactions(party))),
        burned=sum(int(each["remint_credit_accrued"]["coin"]["amount"]) for each in executed),
        minted=sum(
            int(each["minted"]["coin"]["amount"]) - int(each["spread"]["amount"])
            for each in executed
        ),
        mints=len(mints),
        markers=tuple(each["groups"][0]["group_spec"]["name"] for each in deployments),
        open=tuple(
            each["deployment"]["id"]["dseq"]
            for each in deployments
            if each["deployment"]["state"] == "active"
        ),
    )


async def open_deployments(party: Party) -> Sequence[str]:
    """Return the numbers of the open deployments."""
    filters = {**_filters(party, "owner"), "filters.state": "active"}
    found = await party.nodes.pages(DEPLOYMENTS, filters, "deployments")
    return [each["deployment"]["id"]["dseq"] for each in found]


async def _transactions(party: Party) -> Sequence[Any]:
    found: list[Any] = []
    while True:
        params = {
            "query": f"message.sender='{party.address}'",
            "page": str(len(found) // _PAGE + 1),
            "limit": str(_PAGE),
        }
        page = (await party.nodes.get(TXS, params))["tx_responses"]
        found += page
        if len(page) < _PAGE:
            return found


def _filters(party: Party, name: str) -> dict[str, str]:
    return {f"filters.{name}": party.address}


def _rent(lease: Any) -> int:
    """What a lease cost: its price for every block from its first to its last."""
    price = decimals.exact(lease["price"]["amount"])
    return int(price * (int(lease["closed_on"]) - int(lease["created_at"])))


def _fee(response: Any) -> int:
    """A transaction pays its whole fee, whatever its messages did, once it was let into a block."""
    if response["codespace"] == "sdk" and response["gas_used"] == "0":
        return 0
    return sum(int(each["amount"]) for each in response["tx"]["auth_info"]["fee"]["amount"])
