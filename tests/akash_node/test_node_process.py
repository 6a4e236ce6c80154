"""What is written for a real node, as far as that can be told without one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.akash_node.genesis import with_balances, with_chain_id, with_oracle
from tests.akash_node.node_process import BIN, CHAIN_ID, NodeProcess, edited

CONFIG = """\
moniker = "node0"

[rpc]
# where
laddr = "tcp://127.0.0.1:26657"

[p2p]
laddr = "tcp://0.0.0.0:26656"
"""


def test_settings_are_set_in_their_table_only() -> None:
    found = edited(CONFIG, {("rpc", "laddr"): "tcp://127.0.0.1:1", ("api", "enable"): True})
    assert found == CONFIG.replace("tcp://127.0.0.1:26657", "tcp://127.0.0.1:1")


def test_the_genesis_is_of_our_chain_and_of_our_coin() -> None:
    found = with_chain_id(
        {
            "chain_id": "akashnet-2",
            "app_state": {
                "staking": {"params": {"bond_denom": "stake"}},
                "gov": {"params": {"min_deposit": [{"denom": "stake", "amount": "1"}]}},
                "bank": {"supply": [{"denom": "uact", "amount": "stake"}]},
            },
        },
        CHAIN_ID,
    )
    assert found == {
        "chain_id": CHAIN_ID,
        "app_state": {
            "staking": {"params": {"bond_denom": "uakt"}},
            "gov": {"params": {"min_deposit": [{"denom": "uakt", "amount": "1"}]}},
            "bank": {"supply": [{"denom": "uact", "amount": "stake"}]},
        },
    }


def test_the_genesis_has_the_coins_that_the_accounts_are_meant_to_have() -> None:
    bank = {"balances": [{"address": "akash1a", "coins": []}], "supply": [], "params": {}}
    coins = {"akash1a": {"uakt": 5, "uact": 4}, "akash1b": {"uakt": 1}}
    found = with_balances({"app_state": {"bank": bank, "auth": {}}}, coins)
    assert found["app_state"] == {
        "auth": {},
        "bank": {
            "params": {},
            "supply": [{"denom": "uact", "amount": "4"}, {"denom": "uakt", "amount": "6"}],
            "balances": [
                {
                    "address": "akash1a",
                    "coins": [{"denom": "uact", "amount": "4"}, {"denom": "uakt", "amount": "5"}],
                },
                {"address": "akash1b", "coins": [{"denom": "uakt", "amount": "1"}]},
            ],
        },
    }


def test_the_genesis_lets_one_account_tell_the_price() -> None:
    params = {"sources": [], "twap_window": "5s", "min_price_sources": 1}
    state = {"oracle": {"params": params, "prices": []}, "bme": {}}
    assert with_oracle({"app_state": state}, "akash1a")["app_state"] == {
        "oracle": {
            "params": {
                "sources": ["akash1a"],
                "twap_window": "3600s",
                "max_price_staleness_period": "3600s",
                "min_price_sources": 1,
            },
            "prices": [],
        },
        "bme": {},
    }


def test_a_binary_that_fails_says_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "akash"
    binary.write_text('#!/bin/sh\necho "$AKASH_MINIMUM_GAS_PRICES $AKASH_API_ENABLE" >&2\nexit 7\n')
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setitem(os.environ, BIN, str(binary))
    with pytest.raises(AssertionError, match=r"akash genesis init node0:\s+0\.025uakt true"):
        NodeProcess(tmp_path, {}, "akash1oracle").start()
