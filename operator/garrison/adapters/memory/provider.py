"""A provider in memory: what it has, what it asks for, and which orders it bids on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from garrison.api.money import MicroUSD
from garrison.ports.market import GpuAsk, Order, ProviderAttribute, ProviderFact, ProviderGpu

REGION_KEY = "location-region"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryProvider:
    """A provider's settings.

    ``host`` is a host name. A bid comes ``bid_delay`` after the order; the gateway knows a lease
    ``lease_delay`` after it was made; a container runs ``start_delay`` after its manifest came.
    ``capacity`` is the number of leases at a time; ``bids`` False: it never bids.
    ``audited_by`` signed every attribute. Uptimes in thousandths.
    """

    id: str
    host: str
    price_per_hour: MicroUSD
    region: str = "eu-west"
    gpus: tuple[ProviderGpu, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    audited_by: tuple[str, ...] = ()
    bid_delay: timedelta = timedelta(seconds=3)
    lease_delay: timedelta = timedelta()
    start_delay: timedelta = timedelta(seconds=5)
    capacity: int = 100
    bids: bool = True
    uptime_1d: int | None = 1000
    uptime_7d: int | None = 1000
    uptime_30d: int | None = 1000

    @property
    def host_uri(self) -> str:
        return f"https://{self.host}:8443"

    def can_host(self, order: Order) -> bool:
        """Return whether an order's price, GPU, attributes and auditors suit this provider."""
        return (
            self.price_per_hour <= order.max_price_per_hour
            and self._has(order.gpu)
            and set(order.attributes) <= set(self._attributes())
            and (not order.audited_by or not set(order.audited_by).isdisjoint(self.audited_by))
        )

    def fact(self, *, online: bool) -> ProviderFact:
        """Return what the market lists about it."""
        return ProviderFact(
            id=self.id,
            host_uri=self.host_uri,
            region=self.region,
            online=online,
            attributes=tuple(
                ProviderAttribute(key=key, value=value, audited_by=self.audited_by)
                for key, value in self._attributes()
            ),
            gpus=self.gpus,
            uptime_1d=self.uptime_1d,
            uptime_7d=self.uptime_7d,
            uptime_30d=self.uptime_30d,
        )

    def _attributes(self) -> tuple[tuple[str, str], ...]:
        return ((REGION_KEY, self.region), *self.attributes)

    def _has(self, ask: GpuAsk | None) -> bool:
        return ask is None or any(_suits(gpu, ask) for gpu in self.gpus)


def _suits(gpu: ProviderGpu, ask: GpuAsk) -> bool:
    return (
        (gpu.vendor, gpu.model) == (ask.vendor, ask.model)
        and ask.memory in {None, gpu.memory}
        and ask.interface in {None, gpu.interface}
    )
