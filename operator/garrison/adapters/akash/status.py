"""A provider's word on a lease, read without trust."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from garrison.adapters.akash.orders import SERVICE
from garrison.errors import UnavailableError
from garrison.ports.market import ForwardedPort, ServiceStatus

MAX_PORTS = 64
_SHAPE = ConfigDict(extra="ignore", populate_by_name=True)
Port = Annotated[int, Field(ge=1, le=65535)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_SHAPE)
class _Service:
    available: Annotated[int, Field(ge=0, le=1_000_000)] = 0


@dataclass(frozen=True, slots=True, kw_only=True, config=_SHAPE)
class _Forwarded:
    host: Annotated[str, Field(max_length=253)]
    port: Port
    external_port: Annotated[int, Field(ge=1, le=65535, alias="externalPort")]
    proto: Annotated[str, Field(max_length=8)] = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True, config=_SHAPE)
class _Lease:
    services: dict[str, _Service | None] | None = None
    forwarded_ports: dict[str, list[_Forwarded] | None] | None = None


_LEASE: TypeAdapter[_Lease] = TypeAdapter(_Lease)


def service_status(raw: Any, what: str) -> ServiceStatus:
    """Return what a gateway says about the one service. Raises UnavailableError for nonsense."""
    try:
        lease = _LEASE.validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:100]
        raise UnavailableError(f"{what} is not understood: {where}: {first['msg']}") from None
    service = (lease.services or {}).get(SERVICE)
    forwarded = (lease.forwarded_ports or {}).get(SERVICE) or []
    return ServiceStatus(
        available=service.available if service is not None else 0,
        ports=tuple(_port(each) for each in forwarded[:MAX_PORTS] if each.proto.upper() == "TCP"),
    )


def _port(forwarded: _Forwarded) -> ForwardedPort:
    return ForwardedPort(
        host=forwarded.host, port=forwarded.port, external_port=forwarded.external_port
    )
