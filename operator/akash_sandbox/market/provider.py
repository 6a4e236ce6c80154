"""What a provider has, where it is, and what it asks for it."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from akash_sandbox.runtimes.seccomp import Confinement

_STRICT = ConfigDict(extra="forbid")
_GIB = 1024**3

Fraction = Annotated[float, Field(ge=0, le=1)]
Dollars = Annotated[float, Field(ge=0, le=10_000)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class GpuStock:
    """``count`` GPUs of one model; the price per GPU and hour rises from low to high with use."""

    model: str
    ram: str
    interface: str = "pcie"
    vendor: str = "nvidia"
    count: Annotated[int, Field(ge=1)] = 8
    price_low: Dollars = 1.0
    price_high: Dollars = 1.0

    @property
    def key(self) -> str:
        """The most exact attribute key, as an offer carries it."""
        return f"vendor/{self.vendor}/model/{self.model}/ram/{self.ram}/interface/{self.interface}"

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key under which the provider advertises this model."""
        base = f"vendor/{self.vendor}/model/{self.model}"
        return (
            base,
            f"{base}/ram/{self.ram}",
            f"{base}/interface/{self.interface}",
            self.key,
        )


@dataclass(frozen=True, slots=True, kw_only=True, config=_STRICT)
class Provider:
    """One provider of the local market; CPU in thousandths of a core, sizes in bytes.

    ``slowdown`` above 1 means that its hardware is slower than promised by that factor.
    ``confinement`` is the seccomp profile of its machines; ``host`` is the address of its gateway and
    of the ports that it forwards, the market's own when empty. Without ``web_certificate`` its gateway
    shows everybody the certificate that is on the chain.
    """

    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
    region: str
    country: str = ""
    city: str = ""
    organization: str = "Local market"
    attributes: dict[str, str] = field(default_factory=dict)
    audited_by: tuple[str, ...] = ()
    gpus: tuple[GpuStock, ...] = ()
    price_low: Dollars = 0.05
    price_high: Dollars = 0.05
    leases: Annotated[int, Field(ge=0)] = 16
    cpu: int = 256_000
    memory: int = 2048 * _GIB
    storage: int = 20_000 * _GIB
    uptime_1d: Fraction = 1.0
    uptime_7d: Fraction = 1.0
    uptime_30d: Fraction = 1.0
    bid_delay_seconds: Annotated[float, Field(ge=0)] = 0.0
    slowdown: Annotated[float, Field(ge=1)] = 1.0
    confinement: Confinement = "unconfined"
    host: str = ""
    web_certificate: bool = True
    id: str = ""

    @property
    def all_attributes(self) -> dict[str, str]:
        """Return what the provider's record on the chain says, GPU capabilities included."""
        gpus = {f"capabilities/gpu/{key}": "true" for gpu in self.gpus for key in gpu.keys}
        base = {
            "host": "akash",
            "region": self.region,
            "location-region": self.region,
            "country": self.country,
            "city": self.city,
            "organization": self.organization,
            "capabilities/storage/1/class": "ram",
            "capabilities/storage/1/persistent": "false",
        }
        return {k: v for k, v in {**base, **gpus, **self.attributes}.items() if v}
