"""A chain of one validator on loopback, run by a release binary of the Akash node.

The binary is in no package registry, so it is given: ``AKASH_BIN=/path/to/akash``. Steps and flags are
those of the node's own development scripts (node 2.1).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.akash_node.genesis import VAULT, with_balances, with_chain_id, with_oracle
from tests.ports import free_ports

BIN = "AKASH_BIN"
CHAIN_ID = "local"
BLOCK_SECONDS = 1
START_SECONDS = 45
TRIES = 3
_TAKEN = "address already in use"
_LATEST = "/cosmos/base/tendermint/v1beta1/blocks/latest"
_STAKE = 1_000_000_000_000
_BOND = "100000000000uakt"


class NodeProcess:
    """One folder with a fresh chain, and the process that runs it."""

    def __init__(self, folder: Path, coins: Mapping[str, Mapping[str, int]], oracle: str) -> None:
        self._binary = os.environ[BIN]
        self._home = folder / "home"
        self._log = folder / "node.log"
        self._coins = coins
        self._oracle = oracle
        self._child: subprocess.Popen[bytes] | None = None
        self._ports = _ports()

    @property
    def url(self) -> str:
        """Where the REST interface answers."""
        return f"http://127.0.0.1:{self._ports['rest']}"

    @property
    def rpc(self) -> str:
        """Where its RPC answers."""
        return f"http://127.0.0.1:{self._ports['rpc']}"

    def start(self) -> None:
        """Make the chain, start it, and wait for its third block.

        Somebody may take a port before the node does, which then runs on without it: so other ports
        are tried.
        """
        self._prepare()
        for _ in range(TRIES):
            self._ports = _ports()
            self._configure()
            self._spawn()
            if self._makes_blocks():
                return
            self.stop()
        raise AssertionError(f"the node makes no blocks:\n{self._tail()}")

    def _spawn(self) -> None:
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                [self._binary, "start", "--home", str(self._home), "--pruning", "nothing"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
            )

    def _makes_blocks(self) -> bool:
        """Return whether the third block came in time."""
        until = time.monotonic() + START_SECONDS
        while self._height() < 3 and time.monotonic() < until:
            if self._child is None or self._child.poll() is not None:
                assert _TAKEN in self._tail(), f"the node ended:\n{self._tail()}"
                return False
            time.sleep(0.2)
        return time.monotonic() < until

    def stop(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _prepare(self) -> None:
        self._run("genesis", "init", "node0")
        self._edit(lambda genesis: with_chain_id(genesis, CHAIN_ID))
        self._run("keys", "add", "validator", *_KEYRING)
        validator = self._run("keys", "show", "validator", "--address", *_KEYRING).split()[-1]
        coins = {validator: {"uakt": _STAKE}, **self._coins}
        for address, amounts in coins.items():
            self._run("genesis", "add-account", address, f"{amounts['uakt']}uakt")
        credit = sum(amounts.get("uact", 0) for amounts in coins.values())
        self._edit(lambda genesis: with_balances(genesis, {**coins, VAULT: {"uakt": credit}}))
        self._edit(lambda genesis: with_oracle(genesis, self._oracle))
        bond = ("--chain-id", CHAIN_ID, "--min-self-delegation", "1")
        self._run("genesis", "gentx", "validator", _BOND, *bond, *_KEYRING)
        self._run("genesis", "collect")
        self._run("genesis", "validate")

    def _edit(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        file = self._home / "config" / "genesis.json"
        file.write_text(json.dumps(change(json.loads(file.read_text()))))

    def _configure(self) -> None:
        """Write the settings where the files have them; the environment says the same."""
        for name in ("config.toml", "app.toml"):
            file = self._home / "config" / name
            if file.exists():
                file.write_text(edited(file.read_text(), self._settings()))

    def _settings(self) -> Mapping[tuple[str, str], str | bool]:
        """The settings by (table, key); no key is in both files."""
        ports = self._ports
        return {
            ("rpc", "laddr"): f"tcp://127.0.0.1:{ports['rpc']}",
            ("rpc", "pprof_laddr"): "",
            ("p2p", "laddr"): f"tcp://127.0.0.1:{ports['p2p']}",
            ("consensus", "timeout_commit"): f"{BLOCK_SECONDS}s",
            ("", "minimum-gas-prices"): "0.025uakt",
            ("api", "enable"): True,
            ("api", "address"): f"tcp://127.0.0.1:{ports['rest']}",
            ("grpc", "enable"): True,
            ("grpc", "address"): f"127.0.0.1:{ports['grpc']}",
        }

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._binary, *arguments, "--home", str(self._home)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self._environment(),
        )
        said = f"akash {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, said
        return done.stdout

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AKASH_")}
        settings = {
            "_".join(filter(None, ("AKASH", *key))).upper().replace("-", "_"): _plain(value)
            for key, value in self._settings().items()
        }
        return {**kept, **settings, "HOME": str(self._home.parent)}

    def _height(self) -> int:
        try:
            with urllib.request.urlopen(self.url + _LATEST, timeout=5) as response:
                return int(json.load(response)["block"]["header"]["height"])
        except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError):
            return 0

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])


_KEYRING = ("--keyring-backend", "test")


def _plain(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value


def edited(text: str, values: Mapping[tuple[str, str], str | bool]) -> str:
    """Return a TOML file's text with those of the keys set that it has, by (table, key)."""
    lines = [_edited(line, table, values) for table, line in _by_table(text.splitlines())]
    return "\n".join(lines) + "\n"


def _by_table(lines: Sequence[str]) -> list[tuple[str, str]]:
    found, table = [], ""
    for line in lines:
        head = re.fullmatch(r"\[([^\[\]]+)\]\s*", line)
        table = head[1] if head else table
        found.append((table, line))
    return found


def _edited(line: str, table: str, values: Mapping[tuple[str, str], str | bool]) -> str:
    key = re.match(r"([A-Za-z0-9_-]+)\s*=", line)
    if key is None or (table, key[1]) not in values:
        return line
    return f"{key[1]} = {json.dumps(values[table, key[1]])}"


def _ports() -> dict[str, int]:
    """Return a port on loopback for each interface, at which nothing listens now."""
    names = ("rest", "grpc", "rpc", "p2p")
    return dict(zip(names, free_ports(len(names)), strict=True))
