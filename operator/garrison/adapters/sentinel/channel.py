"""One connection to a sentinel's control port: HTTP/1.1 with JSON over mutual TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import aiohttp
from cryptography import x509

from garrison.adapters.sentinel.certificates import fingerprint, public_key, uris
from garrison.adapters.sentinel.reply import (
    MAX_ANSWER,
    MAX_PAGE,
    bounded,
    refusal,
    translated,
    url_of,
    where_of,
)
from garrison.adapters.sentinel.tls import client_context
from garrison.errors import AuthError, UnavailableError
from garrison.ports.identity import ClientIdentity, bootstrap_id, lease_id
from garrison.ports.sentinel import Door

CONNECT_SECONDS = 5.0
CALL_SECONDS = 20.0


class Channel:
    """A connection that is kept open. ``peer`` is known after the first call.

    Use as an asynchronous context manager, or ``close`` it.
    """

    def __init__(self, door: Door, identity: ClientIdentity, domain: str) -> None:
        self._door = door
        self._domain = domain
        self._peer: x509.Certificate | None = None
        self._context = client_context(
            certificate=identity.certificate,
            key=identity.key,
            trusted=identity.lease_authorities,
            check=self._check,
        )
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def peer(self) -> x509.Certificate:
        """Return the certificate of the other side."""
        if self._peer is None:
            raise RuntimeError("nothing has been said on this channel yet")
        return self._peer

    @property
    def is_enrolled(self) -> bool:
        """Return whether the other side showed a lease certificate and not its bootstrap."""
        return uris(self.peer) == (lease_id(self._domain, self._door.lease),)

    @property
    def key(self) -> str:
        """Return the SHA-256 of the other side's public key, hex."""
        return fingerprint(public_key(self.peer))

    def _check(self, certificate: x509.Certificate) -> None:
        """Accept the lease's own names only, and its bootstrap only with the bootstrap's key."""
        found = uris(certificate)
        bootstrap = (bootstrap_id(self._domain, self._door.lease),)
        if found not in {bootstrap, (lease_id(self._domain, self._door.lease),)}:
            raise ssl.SSLCertVerificationError(f"the certificate is for {found}, not this lease")
        try:
            key = fingerprint(public_key(certificate))
        except AuthError as error:
            raise ssl.SSLCertVerificationError(str(error)) from None
        if found == bootstrap and key != self._door.bootstrap:
            raise ssl.SSLCertVerificationError("the bootstrap key is not the one of this lease")
        self._peer = certificate

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        seconds: float = CALL_SECONDS,
    ) -> dict[str, Any]:
        """Return the JSON object of an answer that comes within ``seconds``.

        Raises UnavailableError, AuthError (not this lease's sentinel), ConflictError (wrong state: look
        again), RejectedError.
        """
        with translated(where_of(self._door.destination), seconds):
            async with asyncio.timeout(seconds):
                return _object(await self._exchange(method, path, body, seconds))

    async def text(self, path: str) -> str:
        """Return the text that a GET answers; bytes that are no UTF-8 are replaced. Raises like ``call``."""
        with translated(where_of(self._door.destination), CALL_SECONDS):
            async with asyncio.timeout(CALL_SECONDS):
                raw = await self._exchange("GET", path, None, CALL_SECONDS, MAX_PAGE)
            return raw.decode("utf-8", "replace")

    async def _exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        seconds: float,
        limit: int = MAX_ANSWER,
    ) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1, keepalive_timeout=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                auto_decompress=False,
            )
        async with self._session.request(
            method,
            url_of(self._door.destination, path),
            json=body,
            ssl=self._context,
            allow_redirects=False,
            headers={"accept-encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
        ) as response:
            raw = await bounded(response, limit)
            if response.status >= 400:
                raise refusal(response.status, path, _object(raw))
            return raw


def _object(raw: bytes) -> dict[str, Any]:
    answer = json.loads(raw) if raw else {}
    if not isinstance(answer, dict):
        raise UnavailableError("the sentinel answered with JSON that is no object")
    return answer
