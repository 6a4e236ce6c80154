"""The one check of every address that somebody else chose."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from garrison.errors import UnavailableError, UnsafeDestinationError
from garrison.ports.probe import Destination

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host name; raises OSError when there are none."""

TIMEOUT_SECONDS = 5.0
MAX_HOST = 253
_EMBEDDING = tuple(
    ipaddress.IPv6Network(text)
    for text in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
"""IPv6 ranges that carry an IPv4 address inside (compatible, NAT64, 6to4, Teredo)."""


class NetScreen:
    """Resolves a host once and lets only dialable addresses through (``ports.probe.Screen``)."""

    def __init__(
        self, *, lookup: Lookup | None = None, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._lookup = lookup or system_lookup
        self._timeout = timeout_seconds

    async def destination(self, host: str, port: int, *, allow_private: bool) -> Destination:
        """Return the first dialable address, IPv4 before IPv6.

        Raises UnsafeDestinationError when none may be dialled, UnavailableError when the name does
        not resolve in time.
        """
        name = _checked(host, port)
        found = [ipaddress.ip_address(each) for each in await self._addresses(name, port)]
        allowed = [each for each in found if is_dialable(each, allow_private=allow_private)]
        if not allowed:
            raise UnsafeDestinationError(
                f"{host} resolves to {', '.join(map(str, found[:4]))}, which must not be dialled; "
                + _remedy(found, allow_private=allow_private)
            )
        chosen = min(allowed, key=lambda each: each.version)
        return Destination(host=host, address=str(chosen), port=port)

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._lookup(host, port)
        except TimeoutError:
            raise UnavailableError(
                f"the name {host} did not resolve within {self._timeout:g} s; check DNS"
            ) from None
        except (OSError, UnicodeError) as error:
            raise UnavailableError(f"the name {host} does not resolve: {error}") from error
        if not found:
            raise UnavailableError(f"the name {host} has no address; check DNS")
        return found


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """Return the operating system's answers for a name, in its order. Raises OSError."""
    loop = asyncio.get_running_loop()
    answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]).partition("%")[0] for answer in answers]


def is_dialable(address: Address, *, allow_private: bool) -> bool:
    """Return whether an address may be dialled: a public one, or a private one where allowed.

    Link-local (cloud metadata among them), multicast, unspecified and reserved ones never are.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_dialable(address.ipv4_mapped, allow_private=allow_private)
        if address != ipaddress.IPv6Address(1) and any(address in each for each in _EMBEDDING):
            return False
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.is_loopback:
        return allow_private
    if address.is_reserved:
        return False
    return address.is_global or (allow_private and _is_local(address))


_LOCAL = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)


def _is_local(address: Address) -> bool:
    return any(address in each for each in _LOCAL)


def _checked(host: str, port: int) -> str:
    if not host or len(host) > MAX_HOST or not 0 < port < 1 << 16:
        raise UnsafeDestinationError(
            f"{host[:MAX_HOST]!r} port {port} is not a destination; give a host name and a port"
        )
    return host.removeprefix("[").removesuffix("]")


def _remedy(found: Sequence[Address], *, allow_private: bool) -> str:
    if not allow_private and any(is_dialable(each, allow_private=True) for each in found):
        return (
            "only public addresses are; for a sandbox set allowPrivateAddresses on the AkashAccount"
        )
    return "link-local, multicast and reserved addresses never are"
