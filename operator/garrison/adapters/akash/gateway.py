"""A provider's gateway: where the manifest goes, and what says whether the container runs.

Nothing a provider answers is held against the account: a token it refuses is an UnavailableError.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import aiohttp

from garrison.adapters.akash.body import BodyError, decode, excerpt, read_bounded
from garrison.adapters.akash.connections import (
    Certificates,
    Identity,
    Place,
    ProviderConnections,
    Verification,
)
from garrison.adapters.akash.status import service_status
from garrison.adapters.akash.tokens import MANAGING, READING, LeaseTokens
from garrison.adapters.sockets import cause
from garrison.errors import (
    GarrisonError,
    NotFoundError,
    RejectedError,
    UnavailableError,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A call that is ready to be made."""

    what: str
    method: Literal["GET", "PUT"]
    place: Place
    headers: Mapping[str, str]
    body: bytes | None
    limits: aiohttp.ClientTimeout


class ProviderGateway:
    """Manages leases at any provider of one account (``ports.market.LeaseGateway``).

    ``manifest`` returns a deployment's manifest, ``allow_private`` is the account's permission. The
    account proves itself by ``tokens``, or without them by ``identity``: a gateway takes only one.
    """

    def __init__(
        self,
        *,
        tokens: LeaseTokens | None,
        screen: Screen,
        context: ssl.SSLContext,
        manifest: Callable[[str, Order], str],
        allow_private: bool,
        certificates: Certificates | None = None,
        identity: Identity | None = None,
        status_timeout: aiohttp.ClientTimeout = STATUS_TIMEOUT,
    ) -> None:
        self._tokens = tokens
        self._manifest = manifest
        self._status_timeout = status_timeout
        self._connections = ProviderConnections(
            screen=screen,
            context=context,
            allow_private=allow_private,
            certificates=certificates,
            identity=identity,
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

    async def manifest(self, target: LeaseTarget) -> str | None:
        """Return the manifest as the provider keeps it, None when it has none.

        It lacks the resources' endpoints (measured), so its hash is not the deployment's.
        """
        path = f"/lease/{target.deployment}/{target.gseq}/{target.oseq}/manifest"
        answer = await self._call("GET", target, path, self._status_timeout, scopes=READING)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._failure(target, answer)
        try:
            return answer.body.decode()
        except UnicodeDecodeError as error:
            raise UnavailableError(f"{answer.what} answered no text: {error}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._connections.close()

    def _failure(self, target: LeaseTarget, answer: _Answer) -> GarrisonError:
        if answer.status in {400, 401, 403} and self._tokens is not None:
            self._tokens.drop(target)
        return UnavailableError(_said(answer))

    async def _call(
        self,
        method: Literal["GET", "PUT"],
        target: LeaseTarget,
        path: str,
        limits: aiohttp.ClientTimeout,
        body: bytes | None = None,
        *,
        scopes: tuple[str, ...] = MANAGING,
    ) -> _Answer:
        place = await self._connections.place(target, path)
        headers = {
            "host": place.authority,
            "accept-encoding": "identity",
            "content-type": "application/json",
        }
        if self._tokens is not None:
            headers["authorization"] = f"Bearer {await self._tokens.of(target, scopes)}"
        request = _Request(
            what=f"{method} {place.authority}{path}",
            method=method,
            place=place,
            headers=headers,
            body=body,
            limits=limits,
        )
        try:
            return await self._connections.proved(
                target.provider, lambda verification: self._exchange(request, verification)
            )
        except TimeoutError as error:
            raise UnavailableError(f"{request.what}: no answer in time") from error
        except (aiohttp.ClientError, BodyError, ValueError, UnavailableError) as error:
            raise UnavailableError(f"{request.what}: {cause(error)}") from error

    async def _exchange(self, request: _Request, verification: Verification) -> _Answer:
        async with self._connections.session.request(
            request.method,
            request.place.url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            server_hostname=request.place.server_name,
            timeout=request.limits,
            ssl=verification,
        ) as response:
            raw = await read_bounded(response, MAX_BODY)
            return _Answer(what=request.what, status=response.status, body=raw)


def _said(answer: _Answer) -> str:
    return f"{answer.what} answered {answer.status}: {excerpt(answer.body)}"
