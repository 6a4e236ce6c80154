"""What a node says about itself, its blocks and the versions it speaks."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from akash_sandbox.chain.chain import View
from akash_sandbox.chain.rest.answers import INVALID, QueryError, answer

Json = dict[str, Any]

NODE_VERSION = "2.1.0-rc12"
_SDK_VERSION = "v0.53.6"
_MODULES = {
    "audit": "v1",
    "bme": "v1",
    "cert": "v1",
    "deployment": "v1beta4",
    "escrow": "v1",
    "market": "v1beta5",
    "oracle": "v2",
    "provider": "v1beta4",
    "take": "v1",
    "wasm": "v1",
}
_TENDERMINT = "/cosmos/base/tendermint/v1beta1"
_PROPOSER = "akashvalcons196xwh94dx8az3l3e2klxeylxcwel798prw99un"
_EMPTY = base64.b64encode(hashlib.sha256(b"").digest()).decode()


class NodeQueries:
    """The handlers."""

    def __init__(
        self,
        chain_id: str,
        name: str,
        view: Callable[[], View],
        block_time: Callable[[int], float],
    ) -> None:
        self._chain_id = chain_id
        self._name = name
        self._view = view
        self._block_time = block_time

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/akash/discovery/v1/info", self._discovery),
            web.get(f"{_TENDERMINT}/node_info", self._info),
            web.get(f"{_TENDERMINT}/syncing", self._syncing),
            web.get(f"{_TENDERMINT}/blocks/{{height}}", self._block),
            web.get("/cosmos/base/node/v1beta1/config", self._config),
        ]

    def block(self, height: int) -> Json:
        """Return a block with its id; without transactions, and with made-up hashes."""
        at = self._block_time(height)
        stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "block_id": _block_id(height),
            "block": {
                "header": self._header(height, stamp),
                "data": {"txs": []},
                "evidence": {"evidence": []},
                "last_commit": _commit(height, stamp),
            },
        }

    def _header(self, height: int, stamp: str) -> Json:
        return {
            "version": {"block": "11", "app": "0"},
            "chain_id": self._chain_id,
            "height": str(height),
            "time": stamp,
            "last_block_id": _block_id(height - 1),
            "last_commit_hash": _hash("commit", height),
            "data_hash": _EMPTY,
            "validators_hash": _hash("validators", 0),
            "next_validators_hash": _hash("validators", 0),
            "consensus_hash": _hash("consensus", 0),
            "app_hash": _hash("app", height),
            "last_results_hash": _EMPTY,
            "evidence_hash": _EMPTY,
            "proposer_address": _hash("proposer", 0, 20),
        }

    async def _discovery(self, _request: web.Request) -> web.Response:
        modules = [{"module": name, "version": v} for name, v in _MODULES.items()]
        versions = [
            {"api_version": version, "modules": modules, "features": []}
            for version in ("v1beta4", "v1beta3")
        ]
        info = {
            "client_info": {"api_version": "v1beta3"},
            "supported_versions": versions,
            "chain_id": self._chain_id,
            "node_version": NODE_VERSION,
            "min_client_version": "",
        }
        return answer({"info": info})

    async def _info(self, _request: web.Request) -> web.Response:
        node = {
            "protocol_version": {"p2p": "8", "block": "11", "app": "0"},
            "default_node_id": hashlib.sha256(self._name.encode()).hexdigest()[:40],
            "listen_addr": "tcp://127.0.0.1:26656",
            "network": self._chain_id,
            "version": "0.38.19",
            "channels": "QCAhIiMwOGBh",
            "moniker": self._name,
            "other": {"tx_index": "on", "rpc_address": "tcp://127.0.0.1:26657"},
        }
        application = {
            "name": "akash",
            "app_name": "akash",
            "version": NODE_VERSION,
            "git_commit": "",
            "build_tags": "",
            "go_version": "",
            "build_deps": [],
            "cosmos_sdk_version": _SDK_VERSION,
        }
        return answer({"default_node_info": node, "application_version": application})

    async def _syncing(self, _request: web.Request) -> web.Response:
        return answer({"syncing": False})

    async def _block(self, request: web.Request) -> web.Response:
        newest, asked = self._view().moment.height, request.match_info["height"]
        height = newest if asked == "latest" else _height(asked)
        if not 1 <= height <= newest:
            raise QueryError(INVALID, "requested block height is bigger then the chain length")
        found = self.block(height)
        header = {**found["block"]["header"], "proposer_address": _PROPOSER}
        return answer({**found, "sdk_block": {**found["block"], "header": header}})

    async def _config(self, _request: web.Request) -> web.Response:
        config = {
            "minimum_gas_price": "0.025000000000000000uakt",
            "pruning_keep_recent": "0",
            "pruning_interval": "0",
            "halt_height": "0",
        }
        return answer(config)


def _height(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise QueryError(INVALID, f"type mismatch, parameter: height, error: {text[:50]!r}")
    return int(text)


def _block_id(height: int) -> Json:
    return {"hash": _hash("block", height), "part_set_header": _parts(height)}


def _commit(height: int, stamp: str) -> Json:
    """The signatures of the block before this one."""
    signature = {
        "block_id_flag": "BLOCK_ID_FLAG_COMMIT",
        "validator_address": _hash("proposer", 0, 20),
        "timestamp": stamp,
        "signature": _hash("signature", height),
    }
    return {
        "height": str(height - 1),
        "round": 0,
        "block_id": _block_id(height - 1),
        "signatures": [signature],
    }


def _parts(height: int) -> Json:
    return {"total": 1, "hash": _hash("parts", height)}


def _hash(what: str, height: int, size: int = 32) -> str:
    digest = hashlib.sha256(f"{what} {height}".encode()).digest()
    return base64.b64encode(digest[:size]).decode()
