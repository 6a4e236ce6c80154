"""A provider's gateway: where the manifest goes, and what says whether the container runs.

The address is the provider's choice, so it is screened and the connection goes to exactly the
screened address, with the host's name in TLS. Certificates must be signed by an authority of the
system's or of the account's ``caBundle``: the Console API has no call for a provider's on-chain
certificate, without which a self-signed one proves nothing.

Nothing a provider answers is held against the account: a token it refuses is an UnavailableError.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import aiohttp
from yarl import URL

from garrison.adapters.akash.body import BodyError, decode, excerpt, read_bounded
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    what: str
    status: int
    body: bytes


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
        status_timeout: aiohttp.ClientTimeout = STATUS_TIMEOUT,
    ) -> None:
        self._tokens = tokens
        self._screen = screen
        self._context = context
        self._manifest = manifest
        self._allow_private = allow_private
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
        what = f"{method} {host}:{port}{path}"
        try:
            async with self._session.request(
                method,
                URL.build(scheme="https", host=destination.address, port=port, path=path),
                headers=headers,
                data=body,
                allow_redirects=False,
                server_hostname=host,
                timeout=limits,
            ) as response:
                raw = await read_bounded(response, MAX_BODY)
                return _Answer(what=what, status=response.status, body=raw)
        except TimeoutError as error:
            raise UnavailableError(f"{what}: no answer in time") from error
        except (aiohttp.ClientError, BodyError, ValueError) as error:
            raise UnavailableError(f"{what}: {error}") from error


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
