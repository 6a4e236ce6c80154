"""Requests to registries and token servers: screened, bounded, TLS except where plain HTTP is allowed by name."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from garrison.errors import UnavailableError, UnsafeDestinationError
from garrison.ports.probe import Screen

TIMEOUT = aiohttp.ClientTimeout(total=30, connect=10, sock_connect=5)
STREAM_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=10, sock_connect=5, sock_read=30)
"""A blob takes as long as it takes; the caller bounds the whole."""
MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``url`` is what was asked; ``challenges`` are the WWW-Authenticate lines."""

    url: URL
    status: int
    body: bytes
    location: str
    challenges: Sequence[str]
    retry_after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The body of an answer, in pieces as they come."""

    status: int
    pieces: AsyncIterator[bytes]


class Transport:
    """``insecure_hosts`` (``host`` or ``host:port``) are spoken to in plain HTTP, wherever they are.

    Everything else is HTTPS at public addresses, or also at private ones if ``allow_private``.
    """

    def __init__(
        self,
        *,
        screen: Screen,
        insecure_hosts: Collection[str] = (),
        allow_private: bool = False,
        context: ssl.SSLContext | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
    ) -> None:
        self._screen = screen
        self._insecure = frozenset(insecure_hosts)
        self._allow_private = allow_private
        self._context = context or ssl.create_default_context()
        self._timeout = timeout

    def base(self, authority: str) -> URL:
        """Return the URL of a registry's API."""
        scheme = "http" if self._is_insecure(authority) else "https"
        return URL(f"{scheme}://{authority}")

    async def get(self, url: URL, headers: Mapping[str, str], *, limit: int) -> Answer:
        """Return an answer whatever its status; a redirect is returned, not followed.

        Raises UnsafeDestinationError, and UnavailableError when no whole answer comes.
        """
        async with self._opened(url, headers, self._timeout) as response:
            return await _answer(url, response, limit)

    async def post(self, url: URL, form: Mapping[str, str], *, limit: int) -> Answer:
        """Return the answer to a form, whatever its status; a redirect is returned, not followed.

        Raises what ``get`` raises; no error has anything of the form.
        """
        async with self._opened(url, {}, self._timeout, form) as response:
            return await _answer(url, response, limit)

    async def follow(self, url: URL, headers: Mapping[str, str], *, limit: int) -> Answer:
        """Return the answer at the end of at most three redirects.

        Headers, and with them credentials, go to the first host only.
        """
        answer = await self.get(url, headers, limit=limit)
        for _ in range(MAX_REDIRECTS):
            if answer.status not in _REDIRECTS or not answer.location:
                return answer
            answer = await self.get(_joined(answer.url, answer.location), {}, limit=limit)
        return answer

    def _is_insecure(self, authority: str) -> bool:
        return authority in self._insecure or authority.rpartition(":")[0] in self._insecure

    @asynccontextmanager
    async def stream(
        self, url: URL, headers: Mapping[str, str], *, piece: int
    ) -> AsyncIterator[Stream]:
        """Give the body at the end of at most three redirects, in pieces of at most ``piece`` bytes.

        Raises what ``get`` raises, also while it is read.
        """
        for _ in range(MAX_REDIRECTS + 1):
            async with self._opened(url, headers, STREAM_TIMEOUT) as response:
                location = response.headers.get("Location", "")
                if response.status not in _REDIRECTS or not location:
                    yield Stream(status=response.status, pieces=_pieces(response, piece))
                    return
            url, headers = _joined(url, location), {}
        raise UnavailableError(f"{_shown(url)}: redirects more than {MAX_REDIRECTS} times")

    @asynccontextmanager
    async def _opened(
        self,
        url: URL,
        headers: Mapping[str, str],
        patience: aiohttp.ClientTimeout,
        form: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer of a screened address to a GET, or to a form; what goes wrong is translated."""
        insecure = self._is_insecure(_authority(url))
        if not url.host or url.scheme != ("http" if insecure else "https"):
            raise UnsafeDestinationError(
                f"{_shown(url)} is not https; plain HTTP is only for registries listed as insecure"
            )
        destination = await self._screen.destination(
            url.host, url.port or 443, allow_private=self._allow_private or insecure
        )
        connector = aiohttp.TCPConnector(ssl=self._context, force_close=True, limit=1)
        sent = {**headers, "host": _authority(url), "accept-encoding": "identity"}
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=patience,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                ) as session,
                session.request(
                    "GET" if form is None else "POST",
                    url.with_host(destination.address),
                    data=form,
                    headers=sent,
                    allow_redirects=False,
                    server_hostname=url.host if url.scheme == "https" else None,
                ) as response,
            ):
                yield response
        except TimeoutError as error:
            raise UnavailableError(f"{_shown(url)}: no answer in time") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise UnavailableError(f"{_shown(url)}: {error}") from error


async def _answer(url: URL, response: aiohttp.ClientResponse, limit: int) -> Answer:
    return Answer(
        url=url,
        status=response.status,
        body=await _bounded(response, limit),
        location=response.headers.get("Location", ""),
        challenges=response.headers.getall("WWW-Authenticate", []),
        retry_after=response.headers.get("Retry-After", ""),
    )


async def _pieces(response: aiohttp.ClientResponse, size: int) -> AsyncIterator[bytes]:
    async for piece in response.content.iter_chunked(size):
        yield piece


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    kept = bytearray()
    async for chunk in response.content.iter_any():
        kept += chunk
        if len(kept) > limit:
            raise ValueError(f"the answer is longer than {limit} bytes")
    return bytes(kept)


def _joined(url: URL, location: str) -> URL:
    try:
        return url.join(URL(location, encoded=True))
    except ValueError as error:
        raise UnavailableError(f"{_shown(url)}: redirects nowhere: {error}") from error


def _authority(url: URL) -> str:
    return url.authority.rpartition("@")[2]


def _shown(url: URL) -> str:
    """Return a URL without its query: signed ones carry credentials there."""
    return f"{url.scheme}://{_authority(url)}{url.path}"
