"""Connections to providers' gateways, whose other end must prove to be the provider.

The address is the provider's choice, so it must be a name, is screened, and the connection goes to
exactly the screened address, with the host's name in TLS. A certificate must be signed by an authority of the
system's or of the account's ``caBundle`` and be for that name; or, where the chain can be read, be one
that this very provider put on the chain. The Console API has no call for those.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn, Protocol, TypeAlias, TypeVar

import aiohttp
from yarl import URL

from garrison.adapters.akash.memo import Memo
from garrison.adapters.sockets import Sockets
from garrison.errors import UnavailableError, UnsafeDestinationError
from garrison.ports.market import LeaseTarget
from garrison.ports.probe import Screen

T = TypeVar("T")

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")

Verification: TypeAlias = ssl.SSLContext | aiohttp.Fingerprint
Attempt: TypeAlias = Callable[[Verification], Awaitable[T]]
"""Makes one connection, and sends nothing before it was verified."""


class Certificates(Protocol):
    """Knows the certificates that providers published."""

    async def of(self, provider: str) -> Sequence[bytes]:
        """Return the SHA-256 of each of a provider's certificates in force."""


class Identity(Protocol):
    """The account as a client of TLS: with a certificate that it published."""

    async def context(self, servers: Collection[bytes]) -> ssl.SSLContext:
        """Return a context that shows it, to servers whose certificate has one of these SHA-256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A path at a gateway: ``url`` has the screened address, ``authority`` host and port.

    ``server_name`` is the name that is asked for in TLS.
    """

    url: URL
    server_name: str
    authority: str


class ProviderConnections:
    """Connections to any provider of one account; ``allow_private`` is the account's permission.

    With an ``identity`` the account proves itself by certificate. A gateway asks for one only where it
    shows its own from the chain, which is under another name (mtls.HOST) than the web's.
    """

    def __init__(
        self,
        *,
        screen: Screen,
        context: ssl.SSLContext,
        allow_private: bool,
        certificates: Certificates | None = None,
        identity: Identity | None = None,
    ) -> None:
        self._identity = identity
        self._screen = screen
        self._context = context
        self._allow_private = allow_private
        self._certificates = certificates
        self._pinned: Memo[aiohttp.Fingerprint] = Memo(1000)
        self._sockets = Sockets()
        tracing = aiohttp.TraceConfig()
        tracing.on_request_redirect.append(_refuse_redirect)
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=context, limit=64, force_close=True, socket_factory=self._sockets
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[tracing],
        )

    async def close(self) -> None:
        """Close all connections."""
        await self.session.close()
        await self._sockets.gone()

    async def place(
        self, target: LeaseTarget, path: str, query: Sequence[tuple[str, str]] = ()
    ) -> Place:
        """Return where a path is. Raises UnsafeDestinationError, UnavailableError (DNS)."""
        base = _base(target)
        host, port = base.host or "", base.port or 443
        if not self._allow_private:
            _check_name(target.provider, host)
        found = await self._screen.destination(host, port, allow_private=self._allow_private)
        url = URL.build(scheme="https", host=found.address, port=port, path=path)
        return Place(
            url=url.with_query(query),
            server_name=f"mtls.{host}" if self._identity is not None else host,
            authority=_authority(host, port),
        )

    async def proved(self, provider: str, attempt: Attempt[T]) -> T:
        """Make a connection whose other end proved to be the provider.

        Nothing is sent before the proof: each way of proving it needs a connection of its own.
        """
        if self._identity is not None and self._certificates is not None:
            published = frozenset(await self._certificates.of(provider))
            return await attempt(await self._identity.context(published))
        known = self._pinned.get(provider)
        if known is not None:
            try:
                return await attempt(known)
            except aiohttp.ServerFingerprintMismatch:
                self._pinned.drop(provider)
        try:
            return await attempt(self._context)
        except aiohttp.ClientConnectorCertificateError:
            if self._certificates is None:
                raise
            return await self._pin(provider, attempt, await self._certificates.of(provider))

    async def _pin(self, provider: str, attempt: Attempt[T], fingerprints: Sequence[bytes]) -> T:
        for each in fingerprints:
            pin = aiohttp.Fingerprint(each)
            with suppress(aiohttp.ServerFingerprintMismatch):
                answer = await attempt(pin)
                self._pinned.keep(provider, pin)
                return answer
        raise UnavailableError(
            f"its certificate is signed by no known authority and is none of the "
            f"{len(fingerprints)} that {provider} has on the chain"
        )


async def _refuse_redirect(_session: object, _context: object, _params: object) -> NoReturn:
    """A WebSocket's handshake has no switch for this."""
    raise aiohttp.ClientError("it redirects, which is never followed")


def _base(target: LeaseTarget) -> URL:
    """Return the provider's base URL. Raises UnsafeDestinationError unless it is plain https."""
    try:
        url = URL(target.host_uri)
        sound = url.scheme == "https" and bool(url.host) and url.user is None and url.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise UnsafeDestinationError(
            f"provider {target.provider} gives {target.host_uri[:200]!r} as its gateway; "
            "only https://HOST:PORT is dialled"
        )
    return url


def _check_name(provider: str, host: str) -> None:
    """Raise UnsafeDestinationError unless a gateway has a name of its own, as the market asks of it.

    A name whose last part is a number is an address however it is written (0x7f.1, 2130706433).
    """
    last = host.rstrip(".").rpartition(".")[2]
    if ":" in host or last == "local" or _NUMBER.fullmatch(last):
        raise UnsafeDestinationError(
            f"provider {provider} gives {host[:200]!r} as its gateway; only public host names are "
            "dialled, for a sandbox set allowPrivateAddresses on the AkashAccount"
        )


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
