"""Looking into a replica through its sentinel, with the console identity of its workload."""

from __future__ import annotations

import asyncio
import json
import shlex
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import aiohttp
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from garrison.adapters.sentinel.reply import bounded, refusal, translated, url_of, where_of
from garrison.adapters.sentinel.session import SentinelSession
from garrison.adapters.sockets import Sockets
from garrison.errors import UnavailableError
from garrison.ports.console import Line, Reach, Size, Stream
from garrison.ports.probe import Destination

CONNECT_SECONDS = 5.0
CALL_SECONDS = 60.0
SILENCE_SECONDS = 45.0
"""A followed stream says something every 15 s."""
MAX_LINE = 1 << 18

_ANSWER = ConfigDict(extra="ignore")


@dataclass(frozen=True, slots=True, kw_only=True, config=_ANSWER)
class _Reached:
    host: Annotated[str, Field(max_length=253)]
    port: Annotated[int, Field(ge=0, le=65535)]
    resolved: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=64)] = ()
    allowed: bool
    reachable: bool
    milliseconds: Annotated[int, Field(ge=0)]
    error: Annotated[str, Field(max_length=512)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_ANSWER)
class _Results:
    results: Annotated[tuple[_Reached, ...], Field(max_length=256)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_ANSWER)
class _Logged:
    time: Annotated[str, Field(max_length=32)] = ""
    stream: Literal["stdout", "stderr"] = "stdout"
    line: str


_RESULTS: TypeAdapter[_Results] = TypeAdapter(_Results)
_LOGGED: TypeAdapter[_Logged] = TypeAdapter(_Logged)


class SentinelConsole:
    """Implements ``Console``. ``context`` accepts the lease's enrolled key and nothing else."""

    def __init__(self, *, destination: Destination, context: ssl.SSLContext) -> None:
        self._destination = destination
        self._context = context
        self._where = where_of(destination)
        self._session: aiohttp.ClientSession | None = None
        self._sockets = Sockets()

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            await self._sockets.gone()

    async def connectivity(self, targets: Sequence[tuple[str, int]]) -> tuple[Reach, ...]:
        """Dial targets (host, port) from inside, under the guard; none: everything on the list."""
        body = {"targets": [{"host": host, "port": port} for host, port in targets]}
        with translated(self._where, CALL_SECONDS):
            async with asyncio.timeout(CALL_SECONDS):
                async with self._asked("POST", "/v1/connectivity", body) as response:
                    found = _RESULTS.validate_python(json.loads(await bounded(response)))
        return tuple(
            Reach(
                host=each.host,
                port=each.port,
                resolved=each.resolved,
                allowed=each.allowed,
                reachable=each.reachable,
                milliseconds=each.milliseconds,
                error=each.error or "",
            )
            for each in found.results
        )

    async def lines(self, *, follow: bool, tail: int | None) -> AsyncIterator[Line]:
        """Yield the newest ``tail`` lines (None: all that are kept), and those that follow."""
        query = {"follow": str(int(follow))} | ({} if tail is None else {"tail": str(tail)})
        with translated(self._where, SILENCE_SECONDS):
            async with self._asked("GET", f"/v1/logs?{urlencode(query)}") as response:
                async for raw in response.content:
                    if raw.strip():
                        yield _line(raw)

    async def shell(
        self, argv: Sequence[str], size: Size | None, *, reads: bool
    ) -> SentinelSession:
        """Run ``argv`` by the image's shell (empty: the shell itself), under the guard."""
        query = {"cmd": shlex.join(argv), "tty": str(int(size is not None))}
        if size is not None:
            query |= {"rows": str(size.rows), "cols": str(size.columns)}
        session = await SentinelSession.opened(
            self._destination, self._context, f"/v1/shell?{urlencode(query)}"
        )
        if not reads:
            await session.end_input()
        return session

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, socket_factory=self._sockets),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
                ),
                auto_decompress=False,
                read_bufsize=MAX_LINE,
            )
        async with self._session.request(
            method,
            url_of(self._destination, path),
            json=body,
            ssl=self._context,
            allow_redirects=False,
            headers={"accept-encoding": "identity"},
        ) as response:
            if response.status >= 400:
                answer = json.loads(await bounded(response) or b"{}")
                raise refusal(response.status, path.partition("?")[0], answer)
            yield response


def _line(raw: bytes) -> Line:
    try:
        found = _LOGGED.validate_json(raw)
    except ValidationError:
        raise UnavailableError("the sentinel's log has a line that makes no sense") from None
    return Line(text=found.line, at=found.time, stream=Stream(found.stream))
