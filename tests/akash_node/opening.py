"""An AkashAccount at a node, opened as the operator opens it: from its spec and a Secret."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from garrison.adapters.akash.exchanges import AkashExchanges
from garrison.adapters.memory.kube import MemoryKube
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.system import SystemClock
from garrison.api.account import Backend, ChainBackend
from garrison.api.meta import SECRET, Kind, SecretKeyRef
from garrison.ports.market import Exchange
from kube_light.store import Store
from tests.akash_node.ground import secret_of
from tests.akash_node.node_process import CHAIN_ID
from tests.builders import account

NAMESPACE = "garrison-system"
NAMESPACES = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)


@asynccontextmanager
async def exchange_of(url: str, name: str, granter: str | None = None) -> AsyncIterator[Exchange]:
    """Open the account of a name."""
    kube = MemoryKube(Store())
    meta = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    await kube.create(NAMESPACES, meta)
    key = base64.b64encode(secret_of(name).encode()).decode()
    metadata = {"name": "wallet", "namespace": NAMESPACE}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"key": key}}
    await kube.create(SECRET, secret)
    chain = ChainBackend(
        key_secret_ref=SecretKeyRef(name="wallet"),
        endpoints=(url,),
        chain_id=CHAIN_ID,
        granter=granter,
        block_time="Nominal",
    )
    exchanges = AkashExchanges(
        kube=kube, namespace=NAMESPACE, screen=NetScreen(), clock=SystemClock()
    )
    try:
        yield await exchanges.of(account(backend=Backend(type="Chain", chain=chain)))
    finally:
        await exchanges.close()
