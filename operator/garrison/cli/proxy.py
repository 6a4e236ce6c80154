"""An HTTP/1.1 proxy on a local port: each request goes to a Ready replica, answers are streamed.

A request that got no byte of an answer is sent to another replica: inference has no side effects.
The way to a replica whose lease has ended is cut, also in the middle of an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from ssl import SSLContext

import aiohttp
from aiohttp import web

from garrison.core.traffic import Backend
from garrison.errors import GarrisonError

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
    }
)
"""RFC 9110, section 7.6.1; the length is set anew."""

MAX_BODY = 256 * 1024 * 1024
PATIENCE = 60.0
"""Seconds that a request waits for a Ready replica."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a replica is reached: a screened address; ``tls`` None: in the clear."""

    address: str
    tls: SSLContext | None = None

    def url(self, port: int, rest: str) -> str:
        """Return the URL of a path there."""
        scheme = "https" if self.tls is not None else "http"
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{scheme}://{host}:{port}{rest}"


Ways = Callable[[Backend], Awaitable[Way]]


class Proxy:
    """``ready`` returns the backends of the moment; ``way`` screens one and says how to reach it."""

    def __init__(self, ready: Callable[[], Sequence[Backend]], way: Ways) -> None:
        self._ready = ready
        self._way = way
        self._turn = itertools.count()
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._session: aiohttp.ClientSession | None = None
        self._open: dict[asyncio.Timeout, Backend] = {}

    def application(self) -> web.Application:
        """Return the proxy as an application."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        app.cleanup_ctx.append(self._client)
        return app

    async def _client(self, _app: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=600)
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            auto_decompress=False,
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        yield
        await self._session.close()

    async def drained(self, seconds: float) -> bool:
        """Wait until no request is in flight; False when that took too long."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def cut(self, stands: Callable[[Backend], bool]) -> None:
        """End every exchange with a backend that does not stand any more."""
        now = asyncio.get_running_loop().time()
        for limit, backend in self._open.items():
            if not stands(backend):
                limit.reschedule(now)

    @contextlib.asynccontextmanager
    async def _way_to(self, backend: Backend) -> AsyncIterator[None]:
        """An exchange with a backend. Raises TimeoutError when it is cut."""
        async with asyncio.timeout(None) as limit:
            self._open[limit] = backend
            try:
                yield
            finally:
                del self._open[limit]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._busy += 1
        self._idle.clear()
        try:
            return await self._forwarded(request, await request.read())
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    async def _forwarded(self, request: web.Request, body: bytes) -> web.StreamResponse:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        failure = "no replica is Ready"
        tried: set[str] = set()
        while asyncio.get_running_loop().time() < deadline:
            backend = self._pick(tried)
            if backend is None:
                tried.clear()
                await asyncio.sleep(0.25)
                continue
            tried.add(backend.lease)
            try:
                async with self._way_to(backend):
                    answer, first = await self._asked(request, body, backend)
            except (aiohttp.ClientError, TimeoutError, OSError, GarrisonError) as error:
                failure = f"{backend.lease}: {error or type(error).__name__}"
            else:
                return await self._passed_on(request, backend, answer, first)
        return web.Response(status=503, text=f"garrison connect: {failure}\n")

    def _pick(self, tried: set[str]) -> Backend | None:
        fresh = [each for each in self._ready() if each.lease not in tried]
        return fresh[next(self._turn) % len(fresh)] if fresh else None

    async def _asked(
        self, request: web.Request, body: bytes, backend: Backend
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """Return an answer that has begun, and its first bytes."""
        assert self._session is not None  # noqa: S101 - made when the application starts
        way = await self._way(backend)
        headers = _end_to_end(request.headers.items())
        if backend.ingress:
            headers.append(("host", f"{backend.host}:{backend.port}"))
        answer = await self._session.request(
            request.method,
            way.url(backend.port, str(request.rel_url)),
            data=body or None,
            headers=headers,
            allow_redirects=False,
            ssl=way.tls if way.tls is not None else True,
        )
        try:
            return answer, await answer.content.readany()
        except BaseException:
            answer.close()
            raise

    async def _passed_on(
        self,
        request: web.Request,
        backend: Backend,
        answer: aiohttp.ClientResponse,
        first: bytes,
    ) -> web.StreamResponse:
        """From here on the client has seen bytes: a break on either side ends both, and repeats nothing."""
        response = web.StreamResponse(
            status=answer.status, headers=_end_to_end(answer.headers.items())
        )
        response.headers["x-garrison-replica"] = backend.lease
        try:
            async with self._way_to(backend):
                await response.prepare(request)
                chunk = first
                while chunk:
                    await response.write(chunk)
                    chunk = await answer.content.readany()
                await response.write_eof()
        except (aiohttp.ClientError, OSError):
            if request.transport is not None:
                request.transport.abort()  # a clean end would say that the answer is whole
        finally:
            answer.close()
        return response


def _end_to_end(headers: object) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = list(headers)  # type: ignore[call-overload]
    return [(name, value) for name, value in pairs if name.lower() not in HOP_BY_HOP]
