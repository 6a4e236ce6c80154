"""A provider's word on a lease, read without trust."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from garrison.adapters.akash.orders import SERVICE
from garrison.errors import UnavailableError
from garrison.ports.market import HTTP_PORT, ForwardedPort, ServiceStatus

MAX_PORTS = 64
MAX_PORT = 65_535
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_URI = re.compile(r"(?P<host>[A-Za-z0-9.-]{1,253})(:(?P<port>[1-9][0-9]{0,4}))?")
_SHAPE = ConfigDict(extra="ignore", populate_by_name=True)
Port = Annotated[int, Field(ge=1, le=65535)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_SHAPE)
class _Service:
    available: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    uris: list[Annotated[str, Field(max_length=512)]] | None = None


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
    name = _name(lease)
    service = (lease.services or {}).get(name)
    forwarded = (lease.forwarded_ports or {}).get(name) or []
    uris = (service.uris if service is not None else None) or []
    return ServiceStatus(
        available=service.available if service is not None else 0,
        ports=tuple(_port(each) for each in forwarded[:MAX_PORTS] if each.proto.upper() == "TCP"),
        name="" if name == SERVICE else name,
        hosts=tuple(host for each in uris[:MAX_PORTS] if (host := _host(each)) is not None),
    )


def _name(lease: _Lease) -> str:
    """The service that Garrison named; in a deployment that it adopted, the only one."""
    names = list(lease.services or {})
    is_other = len(names) == 1 and _NAME.fullmatch(names[0]) is not None
    return names[0] if is_other else SERVICE


def _host(uri: str) -> tuple[str, int] | None:
    """``host`` or ``host:port``; the scheme is HTTP's, whatever the proxy offers beside."""
    match = _URI.fullmatch(uri)
    port = int(match["port"] or HTTP_PORT) if match is not None else 0
    return (match["host"], port) if match is not None and port <= MAX_PORT else None


def _port(forwarded: _Forwarded) -> ForwardedPort:
    return ForwardedPort(
        host=forwarded.host, port=forwarded.port, external_port=forwarded.external_port
    )
