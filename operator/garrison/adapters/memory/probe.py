"""Probes, benchmarks and address checks against containers in memory."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Address

from garrison.adapters.memory.faults import Call
from garrison.adapters.memory.gateway import MemoryGateway
from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.memory.records import DeploymentRecord, LeaseRecord
from garrison.adapters.memory.sentinel import MemorySentinel
from garrison.errors import UnavailableError
from garrison.ports.identity import Peer
from garrison.ports.probe import (
    BenchmarkAsk,
    BenchmarkFigures,
    Destination,
    ProbeOutcome,
    ProbeResult,
)

FIRST_ADDRESS = IPv4Address("198.18.0.1")
"""Addresses for benchmarks of interconnected devices, RFC 2544: they are nobody's."""


class MemoryScreen:
    """Implements ``Screen``: every host name gets an address of its own."""

    def __init__(self, market: MemoryMarket) -> None:
        self._market = market
        self._addresses: dict[str, str] = {}

    async def destination(self, host: str, port: int, *, allow_private: bool) -> Destination:
        """Return the host's address."""
        del allow_private

        def answer(_moment: datetime) -> Destination:
            known = self._addresses.setdefault(host, str(FIRST_ADDRESS + len(self._addresses)))
            return Destination(host=host, address=known, port=port)

        call = Call(port="screen", operation="destination", write=False, subject=host)
        return await self._market.faults.read(call, answer)


class MemoryProber:
    """Implements ``Prober``. ``slow`` providers serve at a tenth of the speed."""

    def __init__(
        self,
        *,
        market: MemoryMarket,
        gateway: MemoryGateway,
        sentinel: MemorySentinel,
        millitokens_per_second: int = 50_000,
    ) -> None:
        self._market = market
        self._gateway = gateway
        self._sentinel = sentinel
        self._speed = millitokens_per_second
        self.slow: set[str] = set()
        self.sick: set[str] = set()
        """deployments whose server answers with an error"""

    async def probe(
        self,
        destination: Destination,
        path: str,
        *,
        timeout_seconds: float,
        peer: Peer | None = None,
    ) -> ProbeResult:
        """Return whether the container serves."""
        del path, timeout_seconds

        def answer(moment: datetime) -> ProbeResult:
            found = self._behind(destination, peer, moment)
            if found is None:
                return ProbeResult(outcome=ProbeOutcome.REFUSED, message="connection refused")
            if found[0].id in self.sick:
                return ProbeResult(outcome=ProbeOutcome.BAD_STATUS, message="HTTP 503")
            return ProbeResult(outcome=ProbeOutcome.HEALTHY)

        call = Call(port="prober", operation="probe", write=False, subject=destination.host)
        try:
            return await self._market.faults.read(call, answer)
        except UnavailableError as error:
            return ProbeResult(outcome=ProbeOutcome.TIMED_OUT, message=str(error))

    def _behind(
        self, destination: Destination, peer: Peer | None, moment: datetime
    ) -> tuple[DeploymentRecord, LeaseRecord] | None:
        """The container whose workload answers this client, None when none does."""
        found = self._gateway.behind(destination.host, destination.port)
        if found is None or not self._gateway.runs(found[1], moment):
            return None
        record, lease = found
        if self._sentinel.is_guarded(lease):
            serves = self._sentinel.serves(record.id, lease, moment)
            return found if serves and self._sentinel.accepts(record.id, peer) else None
        return found if peer is None else None

    async def benchmark(
        self, destination: Destination, ask: BenchmarkAsk, *, peer: Peer | None = None
    ) -> BenchmarkFigures:
        """Return the provider's figures."""

        def answer(moment: datetime) -> BenchmarkFigures:
            found = self._behind(destination, peer, moment)
            if found is None:
                raise UnavailableError(f"{destination.host}:{destination.port}: no answer")
            factor = 10 if found[1].provider in self.slow else 1
            return BenchmarkFigures(
                model=ask.model or "synthetic",
                requests=ask.requests,
                time_to_first_token_ms=40 * factor,
                millitokens_per_second=self._speed // factor,
            )

        call = Call(port="prober", operation="benchmark", write=False, subject=destination.host)
        return await self._market.faults.read(call, answer)
