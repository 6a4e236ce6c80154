"""Where the tests trade: a real node when there is one, else the sandbox's chain without providers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.akash.wallet.signer import LocalSigner
from tests.akash_node.node_process import BIN, CHAIN_ID, NodeProcess
from tests.sandbox.sandbox_process import SandboxProcess

PLENTY = 10**12
NAMES = ("tenant", "treasury", "hot", "frost", "prairie", "dear")
"""Whose accounts have coins from the first block on; ``hot`` has nothing but its existence."""

ORACLE = "treasury"
"""Who may tell the price of akt at a real node."""


def secret_of(name: str) -> str:
    """Return a throw-away private key in hex, the same in every run."""
    return hashlib.sha256(b"garrison test account " + name.encode()).hexdigest()


def signer_of(name: str) -> LocalSigner:
    """Return who signs for a name."""
    return LocalSigner(PrivateKey.from_hex(secret_of(name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A chain with the accounts of NAMES funded."""

    url: str
    block_seconds: float
    is_real: bool
    rpc: str = ""
    """the real node's RPC, for programs of the chain's own"""


@contextmanager
def ground_in(folder: Path) -> Iterator[Ground]:
    """Run a chain for some tests: the node of AKASH_BIN, else the sandbox."""
    if BIN not in os.environ:
        with _sandbox(folder) as found:
            yield found
        return
    coins = {signer_of(name).address: _coins(name) for name in NAMES}
    node = NodeProcess(folder, coins, oracle=signer_of(ORACLE).address)
    try:
        node.start()
        yield Ground(url=node.url, block_seconds=1.0, is_real=True, rpc=node.rpc)
    finally:
        node.stop()


@contextmanager
def _sandbox(folder: Path) -> Iterator[Ground]:
    accounts = [
        {"address": signer_of(name).address, "uakt": _amount(name), "uact": _amount(name) - 1}
        for name in NAMES
    ]
    config = {
        "workloads": {"runtime": "synthetic"},
        "block_seconds": 0.25,
        "providers": [],
        "chain": {"id": CHAIN_ID, "tls": False, "accounts": accounts},
    }
    process = SandboxProcess(folder / "data", yaml.safe_dump(config))
    process.start()
    try:
        yield Ground(url=process.chain_url, block_seconds=0.25, is_real=False)
    finally:
        assert process.stop() == 0


def _amount(name: str) -> int:
    return 1 if name == "hot" else PLENTY


def _coins(name: str) -> dict[str, int]:
    amount = _amount(name)
    return {"uakt": amount} if name == "hot" else {"uact": amount - 1, "uakt": amount}
