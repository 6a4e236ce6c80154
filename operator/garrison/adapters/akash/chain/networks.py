"""Where the public networks are reached (akash-network/net)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from garrison.api.account import ChainBackend


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A chain and REST interfaces of its nodes."""

    chain_id: str
    endpoints: tuple[str, ...]


NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        "Mainnet": Network(
            chain_id="akashnet-2",
            endpoints=("https://api.akashnet.net:443", "https://rpc.akt.dev/rest"),
        ),
        "Sandbox": Network(chain_id="sandbox-2", endpoints=("https://api.sandbox-2.aksh.pw:443",)),
    }
)


def endpoints_of(chain: ChainBackend) -> tuple[Sequence[str], str | None]:
    """Return the nodes to use, and the chain they must be of (None: what the first says)."""
    if chain.endpoints:
        return chain.endpoints, chain.chain_id
    network = NETWORKS[chain.network]
    return network.endpoints, chain.chain_id or network.chain_id
