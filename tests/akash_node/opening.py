"""An AkashAccount at a node, opened as the operator opens it: from its spec and a Secret."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from garrison.adapters.akash.exchanges import AkashExchanges
from garrison.adapters.akash.opening import Opened, Opener
from garrison.adapters.memory.kube import MemoryKube
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.system import SystemClock
from garrison.api.account import Account, Backend, ChainBackend
from garrison.api.meta import SECRET, Kind, SecretKeyRef
from garrison.ports.market import Exchange
from kube_light.store import Store
from tests.akash_node.gateways import Gateways
from tests.akash_node.ground import secret_of
from tests.akash_node.node_process import CHAIN_ID
from tests.builders import account

NAMESPACE = "garrison-system"
NAMESPACES = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)


@asynccontextmanager
async def exchange_of(
    url: str, name: str, granter: str | None = None, gateways: Gateways | None = None
) -> AsyncIterator[Exchange]:
    """Open the account of a name. Without ``gateways`` it finds none."""
    kube = MemoryKube(Store())
    meta = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    await kube.create(NAMESPACES, meta)
    key = base64.b64encode(secret_of(name).encode()).decode()
    metadata = {"name": "wallet", "namespace": NAMESPACE}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"key": key}}
    await kube.create(SECRET, secret)
    exchanges = AkashExchanges(
        kube=kube, namespace=NAMESPACE, screen=_screen(gateways), clock=SystemClock()
    )
    try:
        yield await exchanges.of(_account(url, gateways, granter=granter))
    finally:
        await exchanges.close()


@asynccontextmanager
async def opened(
    url: str, name: str, gateways: Gateways, gateway_auth: Literal["Token", "Certificate"]
) -> AsyncIterator[Opened]:
    """Open the account of a name as the command line does, which looks into leases, too."""
    opener = Opener(screen=_screen(gateways), clock=SystemClock())
    found = opener.open(_account(url, gateways, gateway_auth=gateway_auth), secret_of(name))
    try:
        yield found
    finally:
        await found.close()


def _screen(gateways: Gateways | None) -> NetScreen:
    return NetScreen(lookup=None if gateways is None else gateways.lookup)


def _account(url: str, gateways: Gateways | None, **fields: Any) -> Account:
    chain = ChainBackend(
        key_secret_ref=SecretKeyRef(name="wallet"),
        endpoints=(url,),
        chain_id=CHAIN_ID,
        block_time="Nominal",
        ca_bundle=None if gateways is None else gateways.ca_bundle,
        **fields,
    )
    backend = Backend(type="Chain", chain=chain)
    return account(backend=backend, allow_private_addresses=gateways is not None)
