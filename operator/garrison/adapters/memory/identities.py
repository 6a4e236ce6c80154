"""Client identities in memory, without any certificate."""

from __future__ import annotations

from datetime import datetime
from ssl import SSLContext

from garrison.adapters.memory.faults import Call
from garrison.adapters.memory.market import MemoryMarket
from garrison.errors import UnavailableError
from garrison.ports.identity import ClientIdentity, Peer


class MemoryIdentities:
    """Implements ``Identities``, without any certificate."""

    def __init__(self, market: MemoryMarket) -> None:
        self._market = market

    async def context(self, peer: Peer) -> SSLContext:
        """There is no TLS in memory."""
        raise UnavailableError(f"no TLS context for lease {peer.lease.uid} in memory")

    async def client(self, namespace: str, workload: str, turn: int) -> ClientIdentity:
        """Return an identity that says whose it is."""
        return await self._issued("client", namespace, workload, turn)

    async def console(self, namespace: str, workload: str, turn: int) -> ClientIdentity:
        """Return an identity that says whose it is."""
        return await self._issued("console", namespace, workload, turn)

    async def _issued(
        self, operation: str, namespace: str, workload: str, turn: int
    ) -> ClientIdentity:
        def answer(_moment: datetime) -> ClientIdentity:
            text = f"{namespace}/{workload}/{operation}/{turn}"
            return ClientIdentity(certificate=text, key=text, lease_authorities=text)

        subject = f"{namespace}/{workload}"
        call = Call(port="identities", operation=operation, write=False, subject=subject)
        return await self._market.faults.read(call, answer)
