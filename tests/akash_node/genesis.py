"""The genesis document of a real node's chain, as the tests need it: pure, documents in and out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeAlias

from akash_sandbox.bech32 import address

Json: TypeAlias = dict[str, Any]

VAULT = address(hashlib.sha256(b"bme").digest()[:20])
"""The account of the module that mints uact, which it does while its uakt are worth the uact there are."""


def with_chain_id(genesis: Json, chain_id: str) -> Json:
    """Return a genesis document of this chain, with uakt wherever the default coin was another."""
    state = _in_uakt(genesis)
    assert isinstance(state, dict)
    return {**state, "chain_id": chain_id}


def with_balances(genesis: Json, coins: Mapping[str, Mapping[str, int]]) -> Json:
    """Return a genesis document in which these accounts have these coins, and nobody else has any.

    The node's ``genesis add-account`` would book uact as uakt.
    """
    state = genesis["app_state"]
    totals: Counter[str] = Counter()
    for amounts in coins.values():
        totals.update(amounts)
    balances = [
        {"address": address, "coins": _sorted_coins(amounts)} for address, amounts in coins.items()
    ]
    bank = {**state["bank"], "balances": balances, "supply": _sorted_coins(totals)}
    return {**genesis, "app_state": {**state, "bank": bank}}


def with_oracle(genesis: Json, source: str) -> Json:
    """Return a genesis document in which an account may tell the price of akt, once for an hour."""
    state = genesis["app_state"]
    hour = {"max_price_staleness_period": "3600s", "twap_window": "3600s"}
    oracle = state["oracle"]
    told = {**oracle, "params": {**oracle["params"], **hour, "sources": [source]}}
    return {**genesis, "app_state": {**state, "oracle": told}}


def _sorted_coins(amounts: Mapping[str, int]) -> list[dict[str, str]]:
    return [{"denom": denom, "amount": str(amount)} for denom, amount in sorted(amounts.items())]


def _in_uakt(value: Any) -> Any:
    match value:
        case dict():
            return {key: _coin(key, each) for key, each in value.items()}
        case list():
            return [_in_uakt(each) for each in value]
        case _:
            return value


def _coin(key: str, value: Any) -> Any:
    if value == "stake" and (key == "denom" or key.endswith("_denom")):
        return "uakt"
    return _in_uakt(value)
