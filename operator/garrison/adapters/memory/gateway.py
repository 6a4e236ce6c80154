"""Provider gateways and the containers behind them, in memory."""

from __future__ import annotations

from datetime import datetime

from garrison.adapters.memory.faults import Call
from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.memory.records import DeploymentRecord, LeaseRecord
from garrison.errors import NotFoundError, UnavailableError
from garrison.ports.clock import Clock
from garrison.ports.market import (
    ForwardedPort,
    LeaseTarget,
    Order,
    ServiceStatus,
)


class MemoryGateway:
    """Implements ``LeaseGateway`` for every provider of a market in memory.

    ``crashing`` are images whose process exits at once, wherever it runs.
    """

    def __init__(self, *, clock: Clock, market: MemoryMarket) -> None:
        self._clock = clock
        self._market = market
        self.crashing: set[str] = set()

    async def send_manifest(self, target: LeaseTarget, order: Order) -> None:
        """Start the container ``start_delay`` after the first manifest."""

        def effect(now: datetime) -> None:
            lease = self._known(target, now)
            if lease.manifest is None:
                lease.manifest = (now, order)

        call = Call(
            port="gateway", operation="send_manifest", write=True, subject=target.deployment
        )
        await self._market.faults.write(call, effect, UnavailableError)

    async def status(self, target: LeaseTarget) -> ServiceStatus | None:
        """Return whether the container runs, and its forwarded ports."""

        def answer(moment: datetime) -> ServiceStatus | None:
            lease = self._known(target, moment)
            if lease.manifest is None or lease.manifest[0] > moment:
                return None
            provider = self._market.providers_by_id[lease.provider]
            ports = tuple(
                ForwardedPort(host=provider.host, port=port, external_port=external)
                for external, port in lease.forwarded().items()
            )
            return ServiceStatus(available=int(self.runs(lease, moment)), ports=ports)

        call = Call(port="gateway", operation="status", write=False, subject=target.deployment)
        return await self._market.faults.read(call, answer)

    async def manifest(self, target: LeaseTarget) -> str | None:
        """Return None: what runs is known as an order only."""
        del target
        return None

    def _known(self, target: LeaseTarget, now: datetime) -> LeaseRecord:
        if not self._market.alive[target.provider].at(now):
            raise UnavailableError(f"{target.host_uri}: connection refused")
        record = self._market.deployments.get(target.deployment)
        lease = record.lease if record is not None else None
        delay = self._market.providers_by_id[target.provider].lease_delay
        if lease is None or lease.provider != target.provider or not lease.open_at(now - delay):
            raise NotFoundError(f"{target.host_uri}: no lease for deployment {target.deployment}")
        return lease

    def runs(self, lease: LeaseRecord, moment: datetime) -> bool:
        """Return whether the container of a lease serves at a moment."""
        if lease.manifest is None or not lease.open_at(moment):
            return False
        order = lease.manifest[1]
        return order.image not in self.crashing and self.is_up(lease, moment)

    def is_up(self, lease: LeaseRecord, moment: datetime) -> bool:
        """Return whether the container of a lease is there, whatever its process does."""
        if lease.manifest is None or not lease.open_at(moment):
            return False
        start = self._market.providers_by_id[lease.provider].start_delay
        alive = self._market.alive[lease.provider].at(moment)
        return alive and moment >= lease.manifest[0] + start

    def behind(self, host: str, port: int) -> tuple[DeploymentRecord, LeaseRecord] | None:
        """Return the deployment whose container is reached at a host and port."""
        for record in self._market.deployments.values():
            lease = record.lease
            if lease is None or port not in lease.forwarded():
                continue
            if self._market.providers_by_id[lease.provider].host == host:
                return record, lease
        return None
