"""A provider's gateway: where the manifest goes, and what says whether the container runs.

The address is the provider's choice, so it is screened and the connection goes to exactly the
screened address, with the host's name in TLS. A certificate must be signed by an authority of the
system's or of the account's ``caBundle`` and be for that name; or, where the chain can be read, be one
that this very provider put on the chain. The Console API has no call for those.

Nothing a provider answers is held against the account: a token it refuses is an UnavailableError.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import aiohttp
from yarl import URL

from garrison.adapters.akash.body import BodyError, decode, excerpt, read_bounded
from garrison.adapters.akash.memo import Memo
from garrison.adapters.akash.status import service_status
from garrison.adapters.akash.tokens import LeaseTokens
from garrison.errors import (
    GarrisonError,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UnsafeDestinationError,
)
from garrison.ports.market import LeaseTarget, Order, ServiceStatus
from garrison.ports.probe import Screen

STATUS_TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5, sock_connect=5)
MANIFEST_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5, sock_connect=5)
MAX_BODY = 1 << 20


Verification: TypeAlias = ssl.SSLContext | aiohttp.Fingerprint


class Certificates(Protocol):
    """Knows the certificates that providers published."""

    async def of(self, provider: str) -> Sequence[bytes]:
        """Return the SHA-256 of each of a provider's certificates in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    what: str
    status: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A call that is ready to be made; ``url`` has the screened address, ``host`` the name."""

    what: str
    method: Literal["GET", "PUT"]
    url: URL
    host: str
    headers: Mapping[str, str]
    body: bytes | None
    limits: aiohttp.ClientTimeout


class ProviderGateway:
    """Manages leases at any provider of one account (``ports.market.LeaseGateway``).

    ``manifest`` returns a deployment's manifest, ``allow_private`` is the account's permission.
    """

    def __init__(
        self,
        *,
        tokens: LeaseTokens,
        screen: Screen,
        context: ssl.SSLContext,
        manifest: Callable[[str, Order], str],
        allow_private: bool,
        certificates: Certificates | None = None,
        status_timeout: aiohttp.ClientTimeout = STATUS_TIMEOUT,
    ) -> None:
        self._tokens = tokens
        self._screen = screen
        self._context = context
        self._manifest = manifest
        self._allow_private = allow_private
        self._certificates = certificates
        self._pinned: Memo[aiohttp.Fingerprint] = Memo(1000)
        self._status_timeout = status_timeout
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=64, force_close=True),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def send_manifest(self, target: LeaseTarget, order: Order) -> None:
        """Hand the manifest over. NotFoundError: the lease is not known there yet."""
        body = self._manifest(target.deployment, order).encode()
        path = f"/deployment/{target.deployment}/manifest"
        answer = await self._call("PUT", target, path, MANIFEST_TIMEOUT, body)
        match answer.status:
            case status if status // 100 == 2:
                return
            case 404:
                raise NotFoundError(f"{_said(answer)}; it is sent again")
            case 422:
                raise RejectedError(f"{_said(answer)}; the provider refuses the manifest")
            case _:
                raise self._failure(target, answer)

    async def status(self, target: LeaseTarget) -> ServiceStatus | None:
        """Return the service's status, None while the provider has no manifest."""
        path = f"/lease/{target.deployment}/{target.gseq}/{target.oseq}/status"
        answer = await self._call("GET", target, path, self._status_timeout)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._failure(target, answer)
        try:
            return service_status(await decode(answer.body), answer.what)
        except BodyError as error:
            raise UnavailableError(f"{answer.what}: {error}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    def _failure(self, target: LeaseTarget, answer: _Answer) -> GarrisonError:
        if answer.status in {400, 401, 403}:
            self._tokens.drop(target)
        return UnavailableError(_said(answer))

    async def _call(
        self,
        method: Literal["GET", "PUT"],
        target: LeaseTarget,
        path: str,
        limits: aiohttp.ClientTimeout,
        body: bytes | None = None,
    ) -> _Answer:
        base = _base(target)
        port = base.port or 443
        host = base.host or ""
        destination = await self._screen.destination(host, port, allow_private=self._allow_private)
        headers = {
            "authorization": f"Bearer {await self._tokens.of(target)}",
            "host": _authority(host, port),
            "accept-encoding": "identity",
            "content-type": "application/json",
        }
        request = _Request(
            what=f"{method} {host}:{port}{path}",
            method=method,
            url=URL.build(scheme="https", host=destination.address, port=port, path=path),
            host=host,
            headers=headers,
            body=body,
            limits=limits,
        )
        try:
            return await self._verified(target.provider, request)
        except TimeoutError as error:
            raise UnavailableError(f"{request.what}: no answer in time") from error
        except (aiohttp.ClientError, BodyError, ValueError) as error:
            raise UnavailableError(f"{request.what}: {error}") from error

    async def _verified(self, provider: str, request: _Request) -> _Answer:
        """Make the call over a connection whose other end proved to be the provider.

        Nothing is sent before the proof: each way of proving it needs a connection of its own.
        """
        known = self._pinned.get(provider)
        if known is not None:
            try:
                return await self._exchange(request, known)
            except aiohttp.ServerFingerprintMismatch:
                self._pinned.drop(provider)
        try:
            return await self._exchange(request, self._context)
        except aiohttp.ClientConnectorCertificateError:
            if self._certificates is None:
                raise
            return await self._pin(provider, request, await self._certificates.of(provider))

    async def _pin(
        self, provider: str, request: _Request, fingerprints: Sequence[bytes]
    ) -> _Answer:
        for each in fingerprints:
            pin = aiohttp.Fingerprint(each)
            with suppress(aiohttp.ServerFingerprintMismatch):
                answer = await self._exchange(request, pin)
                self._pinned.keep(provider, pin)
                return answer
        raise UnavailableError(
            f"{request.what}: its certificate is signed by no known authority and is none of the "
            f"{len(fingerprints)} that {provider} has on the chain"
        )

    async def _exchange(self, request: _Request, verification: Verification) -> _Answer:
        async with self._session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            server_hostname=request.host,
            timeout=request.limits,
            ssl=verification,
        ) as response:
            raw = await read_bounded(response, MAX_BODY)
            return _Answer(what=request.what, status=response.status, body=raw)


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


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _said(answer: _Answer) -> str:
    return f"{answer.what} answered {answer.status}: {excerpt(answer.body)}"
