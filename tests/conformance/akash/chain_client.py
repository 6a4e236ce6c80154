"""A client that signs as the recordings were signed, and as wrongly where they were."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.message import Message

from akash_proto.schema.cosmos_base_v1beta1_pb2 import Coin
from akash_proto.schema.cosmos_crypto_secp256k1_pb2 import PubKey
from akash_proto.schema.cosmos_tx_signing_v1beta1_pb2 import SIGN_MODE_DIRECT
from akash_proto.schema.cosmos_tx_v1beta1_pb2 import AuthInfo, Fee, ModeInfo, SignerInfo, TxBody
from akash_proto.tx import raw_tx, sign_bytes
from akash_proto.wire import encode, pack
from garrison.adapters.akash.wallet.address import address_of
from garrison.adapters.akash.wallet.key import PrivateKey

Json = dict[str, Any]

_NANO = 10**9


@dataclass(frozen=True, slots=True)
class Key:
    """A throw-away key of the recorded chain."""

    private: PrivateKey

    @property
    def public(self) -> bytes:
        return self.private.public

    @property
    def address(self) -> str:
        return address_of(self.public)


def named(name: str) -> Key:
    """Return the key that the recorded chain had under this name."""
    digest = hashlib.sha256(b"garrison-localchain/" + name.encode()).hexdigest()
    return Key(PrivateKey.from_hex(digest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a transaction is made; None is what the chain says is right."""

    gas: int | None = None
    fee: int | None = None
    number: int | None = None
    sequence: int | None = None
    sequence_off: int = 0
    number_off: int = 0
    ttl: float | None = None
    timeout_height: int = 0
    granter: str = ""
    chain_id: str = "local"
    is_signed: bool = True


@dataclass(slots=True)
class Node:
    """One node's REST interface."""

    url: str
    heights: list[int] = field(default_factory=list)

    def call(self, method: str, path: str, body: Json | None = None) -> tuple[int, Any]:
        """Return the status and the JSON; text that is not UTF-8 has its bytes replaced."""
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read().decode(errors="replace"))
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        return self.call("GET", path)

    def height(self) -> int:
        block = self.get("/cosmos/base/tendermint/v1beta1/blocks/latest")[1]["block"]
        return int(block["header"]["height"])

    def account(self, address: str) -> tuple[int, int]:
        """Return an account's number and sequence; 99 and 0 for one that is not there."""
        status, body = self.get(f"/cosmos/auth/v1beta1/accounts/{address}")
        if status != 200:
            return 99, 0
        return int(body["account"]["account_number"]), int(body["account"]["sequence"])

    def build(self, key: Key, messages: Sequence[Message], wish: Wish, gas: int, fee: int) -> bytes:
        """Return a signed transaction."""
        number, sequence = self.account(key.address)
        is_unordered = wish.ttl is not None
        number = (number if wish.number is None else wish.number) + wish.number_off
        if wish.sequence is not None:
            sequence = wish.sequence
        elif is_unordered:
            sequence = 0
        body = TxBody(
            messages=[pack(each) for each in messages],
            timeout_height=wish.timeout_height,
            unordered=is_unordered,
        )
        if wish.ttl is not None:
            until = time.time_ns() + int(wish.ttl * _NANO)
            body.timeout_timestamp.seconds = until // _NANO
            body.timeout_timestamp.nanos = until % _NANO
        signer = SignerInfo(
            public_key=pack(PubKey(key=key.public)),
            mode_info=ModeInfo(single=ModeInfo.Single(mode=SIGN_MODE_DIRECT)),
            sequence=sequence + wish.sequence_off,
        )
        coins = [Coin(denom="uakt", amount=str(fee))] if fee else []
        auth = AuthInfo(
            signer_infos=[signer], fee=Fee(amount=coins, gas_limit=gas, granter=wish.granter)
        )
        body_bytes, auth_bytes = encode(body), encode(auth)
        signed = sign_bytes(body_bytes, auth_bytes, wish.chain_id, number)
        signature = key.private.sign(signed) if wish.is_signed else b""
        return raw_tx(body_bytes, auth_bytes, [signature])

    def simulate(self, raw: bytes) -> tuple[int, Any]:
        return self.call("POST", "/cosmos/tx/v1beta1/simulate", {"tx_bytes": _text(raw)})

    def broadcast(self, raw: bytes) -> tuple[int, Any]:
        body = {"tx_bytes": _text(raw), "mode": "BROADCAST_MODE_SYNC"}
        return self.call("POST", "/cosmos/tx/v1beta1/txs", body)

    def wait(self, hash_: str) -> tuple[int, Any]:
        """Return a transaction's answer once it is in a block."""
        for _ in range(400):
            status, body = self.get(f"/cosmos/tx/v1beta1/txs/{hash_}")
            if status == 200:
                return status, body
            time.sleep(0.01)
        raise AssertionError(f"{hash_} did not get into a block")

    def send(self, key: Key, messages: Sequence[Message], wish: Wish | None = None) -> Json:
        """Simulate, sign with twice the gas, broadcast, and return the result in the block."""
        wish = wish or Wish(ttl=60)
        status, simulated = self.simulate(self.build(key, messages, wish, 0, 0))
        assert status == 200, simulated
        gas = 2 * int(simulated["gas_info"]["gas_used"])
        raw = self.build(key, messages, wish, gas, -(-gas * 25 // 1000))
        _, answer = self.broadcast(raw)
        assert answer["tx_response"]["code"] == 0, answer
        result: Json = self.wait(answer["tx_response"]["txhash"])[1]["tx_response"]
        assert result["code"] == 0, result
        return result


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
