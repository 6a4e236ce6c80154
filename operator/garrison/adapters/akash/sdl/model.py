"""An SDL as typed values. Names are the SDL's own; sizes are bytes, CPU thousandths of a core.

``None`` and an empty tuple differ where the reference library's manifest tells them apart: an absent
``command`` is null there, ``command: []`` is an empty list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

Texts: TypeAlias = tuple[str, ...]
Attributes: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of key and value, sorted by key."""

DEFAULT_VOLUME = "default"
DEFAULT_CLASS = "default"
RAM_CLASS = "ram"
DECIMALS = 18
"""Of a price; ``Price.amount`` counts in these units, as the chain does on the wire."""


class Version(StrEnum):
    """Which rules apply: 2.1 lets the services of one profile share a resource unit."""

    V2_0 = "2.0"
    V2_1 = "2.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """How the provider's ingress treats a port; sizes in bytes, times in milliseconds."""

    max_body_size: int = 1_048_576
    read_timeout: int = 60_000
    send_timeout: int = 60_000
    next_tries: int = 3
    next_timeout: int = 0
    next_cases: Texts = ("error", "timeout")
    proxy_buffer_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Who may reach a port: a service, everybody, or everybody through a leased IP endpoint."""

    service: str = ""
    everybody: bool = False
    ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose:
    """A port of the container. ``external_port`` 0: the same as ``port``."""

    port: int
    external_port: int = 0
    protocol: Literal["TCP", "UDP"] = "TCP"
    accept: Texts | None = None
    to: tuple[Target, ...] = ()
    http: HttpOptions = field(default_factory=HttpOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the provider logs in with at the image's registry."""

    host: str
    username: str
    password: str = field(repr=False)
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """Where a volume appears in the container."""

    path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """``permissions`` are what the service may read of its own deployment; None: not asked for."""

    storage: Mapping[str, Mount] = field(default_factory=dict)
    permissions: Texts | None = None
    tee: Literal["cpu", "cpu-gpu"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One container. Dependencies have no effect, in the reference library either."""

    image: str
    command: Texts | None = None
    args: Texts | None = None
    env: Texts | None = None
    expose: tuple[Expose, ...] = ()
    dependencies: Texts = ()
    params: Params | None = None
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """``persistent`` None: no attributes at all, which is the ephemeral disk."""

    size: int
    name: str = DEFAULT_VOLUME
    persistent: bool | None = None
    storage_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuModel:
    """An acceptable model; ``ram`` in whole gibibytes."""

    model: str
    ram: int | None = None
    interface: Literal["pcie", "sxm"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """GPUs of one replica; no models: any of NVIDIA's."""

    units: int
    models: tuple[GpuModel, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """Resources of one replica."""

    cpu: int
    memory: int
    storage: tuple[Volume, ...]
    gpu: Gpu | None = None
    arch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A ceiling per replica and block; ``amount`` in 10^-18 of ``denom``."""

    denom: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a group may run; prices by compute profile."""

    attributes: Attributes = ()
    all_of: Texts | None = None
    any_of: Texts | None = None
    pricing: Mapping[str, Price] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """``count`` replicas with the resources of compute profile ``profile``."""

    profile: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A service in a placement."""

    service: str
    placement: str
    profile: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdl:
    """A whole document. ``endpoints`` are leased IPs; ``reclamation`` is notice in nanoseconds."""

    version: Version
    services: Mapping[str, Service]
    compute: Mapping[str, Compute]
    placement: Mapping[str, Placement]
    deployment: Mapping[str, Mapping[str, Assignment]]
    endpoints: Texts = ()
    include: Texts = ()
    reclamation: int | None = None

    def units(self) -> Iterator[Unit]:
        """Return what is deployed, by service and then placement name."""
        for service in sorted(self.deployment):
            for placement, assigned in sorted(self.deployment[service].items()):
                yield Unit(
                    service=service,
                    placement=placement,
                    profile=assigned.profile,
                    count=assigned.count,
                )
