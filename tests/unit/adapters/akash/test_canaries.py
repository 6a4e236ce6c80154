"""Planted keys never show: not in logs, errors, texts of objects, or what is sent to a node."""

from __future__ import annotations

import base64
import io
import json
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from garrison.adapters.akash.exchanges import AkashExchanges
from garrison.adapters.akash.wallet.key import PrivateKey
from garrison.adapters.memory.kube import MemoryKube
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.system import SystemClock
from garrison.api.account import Account, Backend, ChainBackend
from garrison.api.meta import SECRET, Kind, SecretKeyRef
from garrison.errors import GarrisonError
from garrison.ports.market import Exchange
from kube_light.store import Store
from tests.builders import account as build_account
from tests.spellings import is_held
from tests.unit.adapters.akash.chain.node_double import NodeDouble
from tests.unit.adapters.akash.chain.test_outbox import terms_node
from tests.unit.adapters.orders import order
from tests.unit.adapters.serving import serve_handler

NAMESPACE = "garrison-system"
NAMESPACES = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)
WORDS = "legal winner thank year wave sausage worth useful legal winner thank yellow"
"""A test vector of BIP 39."""
HEX = "00000000000000000000000000000000000000000000000000ca9a12deadbeef"
CREDENTIALS = {"words": WORDS, "hex": HEX}


def secrets_in(text: str) -> list[str]:
    """Return the parts of planted keys that a text shows, in any of the usual spellings."""
    number = int(HEX, 16)
    derived = PrivateKey.from_words(WORDS)._key.private_numbers().private_value
    raw = derived.to_bytes(32, "big")
    plain = [
        "sausage worth",
        "deadbeef",
        "DEADBEEF",
        str(number),
        str(derived),
    ]
    planted: dict[str, str | bytes] = {"words": WORDS, "hex": HEX, "derived": raw}
    encoded = [name for name, each in planted.items() if is_held(each, text.encode())]
    return [*encoded, *(each for each in plain if each in text)]


@pytest.fixture(autouse=True)
def log() -> Iterator[io.StringIO]:
    """Everything that anybody logs, at the finest level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)
    assert secrets_in(stream.getvalue()) == []


def an_account(kind: str, port: int) -> Account:
    reference = SecretKeyRef(name="wallet")
    chain = ChainBackend(
        mnemonic_secret_ref=reference if kind == "words" else None,
        key_secret_ref=reference if kind == "hex" else None,
        endpoints=(f"http://127.0.0.1:{port}",),
        chain_id="local",
    )
    return build_account(backend=Backend(type="Chain", chain=chain))


@asynccontextmanager
async def opened(kind: str, credential: str, node: NodeDouble) -> AsyncIterator[Exchange]:
    kube = MemoryKube(Store())
    await kube.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    encoded = base64.b64encode(credential.encode()).decode()
    metadata = {"name": "wallet", "namespace": NAMESPACE}
    data = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"key": encoded}}
    await kube.create(SECRET, data)
    exchanges = AkashExchanges(
        kube=kube, namespace=NAMESPACE, screen=NetScreen(), clock=SystemClock()
    )
    try:
        async with serve_handler(node.handle) as port:
            yield await exchanges.of(an_account(kind, port))
    finally:
        await exchanges.close()


@pytest.mark.parametrize("kind", sorted(CREDENTIALS))
async def test_no_error_shows_the_key_that_signed(kind: str) -> None:
    node = terms_node()
    received: list[bytes] = []

    async def refuse(request: web.Request) -> web.Response:
        received.append(await request.read())
        return web.json_response({"code": 2, "message": "Invalid groups"}, status=500)

    node.answers["/cosmos/tx/v1beta1/simulate"] = refuse
    async with opened(kind, CREDENTIALS[kind], node) as exchange:
        market = exchange.market
        with pytest.raises(GarrisonError) as raised:
            await market.create(order(), market.propose_id())
        shown = "".join(traceback.format_exception(raised.value))
        assert "Invalid groups" in shown
        shown += f"{exchange!r} {vars(market)!r} {market._outbox.__dict__!r}"  # type: ignore[attr-defined]
        with pytest.raises(Exception, match=r"pickle|copied"):
            pickle.dumps(market)
    assert received
    sent = b"".join(base64.b64decode(json.loads(each)["tx_bytes"]) for each in received)
    assert secrets_in(shown) == []
    assert secrets_in(sent.hex()) == []


@pytest.mark.parametrize(
    ("kind", "credential"),
    [
        ("words", WORDS.replace("yellow", "zoo")),
        ("words", WORDS + " sausage"),
        ("words", f"{WORDS}\u00e9"),
        ("hex", HEX[:-1]),
        ("hex", "deadbeef" * 8),
        ("hex", WORDS),
        ("words", HEX),
    ],
)
async def test_no_refusal_shows_the_key_that_is_wrong(kind: str, credential: str) -> None:
    if credential == "deadbeef" * 8:
        credential = "f" * 56 + "deadbeef"  # beyond the group's order
    with pytest.raises(GarrisonError) as raised:
        async with opened(kind, credential, NodeDouble()):
            pass
    shown = "".join(traceback.format_exception(raised.value))
    assert secrets_in(shown) == []
    assert credential not in shown
