"""One node's REST interface: bounded, screened, no redirects, nothing believed."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal, TypeAlias

import aiohttp
from yarl import URL

from garrison.adapters.akash.body import BodyError, decode, excerpt, read_bounded
from garrison.adapters.sockets import cause
from garrison.errors import NotFoundError, UnavailableError, UnsafeDestinationError
from garrison.ports.probe import Destination, Screen

Method: TypeAlias = Literal["GET", "POST"]
Params: TypeAlias = Mapping[str, str]

TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5, sock_connect=5)
MAX_BODY = 32 << 20
HEIGHT_HEADER = "Grpc-Metadata-X-Cosmos-Block-Height"
_NOT_FOUND, _INTERNAL = 5, 13
_NO_ALLOWANCE = "fee-grant not found"


class NotSentError(UnavailableError):
    """The request never left: the node cannot be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a node said. ``height`` is the block that the answer is of, None when it does not say."""

    status: int
    body: Any
    height: int | None = None

    @property
    def message(self) -> str:
        """Return the text of an error's body, "" when it has none."""
        text = self.body.get("message") if isinstance(self.body, dict) else None
        return text if isinstance(text, str) else ""

    @property
    def code(self) -> object:
        """Return the gRPC code of an error's body, None when it has none."""
        return self.body.get("code") if isinstance(self.body, dict) else None


class Node:
    """Calls one node (a base URL, with the path before ``/cosmos`` and ``/akash`` if any).

    Plain HTTP is for a node on one's own network: to a public address only HTTPS is spoken.
    """

    def __init__(
        self,
        *,
        url: str,
        screen: Screen,
        context: ssl.SSLContext,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
        max_body: int = MAX_BODY,
    ) -> None:
        self.url = url.rstrip("/")
        self._base = URL(self.url)
        self._screen = screen
        self._max_body = max_body
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=16),
            timeout=timeout,
            headers={"accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def get(self, path: str, params: Params | None = None) -> Answer:
        """Return the answer to a query. Raises NotFoundError, else UnavailableError."""
        answer = await self.call("GET", path, params=params)
        if answer.status == 200:
            return answer
        what = f"GET {self.url}{path}"
        if _is_absent(answer):
            raise NotFoundError(f"{what}: {answer.message[:300]}")
        raise UnavailableError(f"{what} answered {answer.status}: {answer.message[:300]}")

    async def call(
        self,
        method: Method,
        path: str,
        *,
        params: Params | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Return a JSON answer with any status.

        Raises NotSentError when the request did not leave, UnavailableError when no answer that makes
        sense came back, UnsafeDestinationError for an address that must not be dialled.
        """
        what = f"{method} {self.url}{path}"
        destination = await self._destination()
        url = self._base.with_host(destination.address).joinpath(path.lstrip("/"))
        try:
            async with self._session.request(
                method,
                url.with_query(dict(params or {})),
                json=body,
                headers={"host": self._base.authority},
                allow_redirects=False,
                server_hostname=destination.host,
            ) as response:
                raw = await read_bounded(response, self._max_body)
                return await _read(what, response, raw)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSentError(f"{what} cannot be reached: {cause(error)}") from error
        except TimeoutError as error:
            raise UnavailableError(f"{what} did not answer in time") from error
        except (aiohttp.ClientError, BodyError) as error:
            raise UnavailableError(f"{what}: {error}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _destination(self) -> Destination:
        host, port = self._base.host or "", self._base.port or 443
        try:
            found = await self._screen.destination(host, port, allow_private=True)
        except UnavailableError as error:
            raise NotSentError(str(error)) from error
        if self._base.scheme != "https" and ip_address(found.address).is_global:
            raise UnsafeDestinationError(
                f"{self.url} is a node at a public address without TLS; write https://"
            )
        return found


def _is_absent(answer: Answer) -> bool:
    """An allowance that nobody gave is told as if the node had failed."""
    if answer.status == 500 and answer.code == _INTERNAL:
        return answer.message.startswith(_NO_ALLOWANCE)
    return answer.status == 404 and answer.code == _NOT_FOUND


async def _read(what: str, response: aiohttp.ClientResponse, raw: bytes) -> Answer:
    try:
        body = await decode(raw)
    except BodyError as error:
        said = excerpt(raw)
        raise UnavailableError(f"{what} answered {response.status}, no JSON: {said}") from error
    if not isinstance(body, dict):
        raise UnavailableError(f"{what} answered {response.status} with JSON that is no object")
    return Answer(status=response.status, body=body, height=_height(response))


def _height(response: aiohttp.ClientResponse) -> int | None:
    text = response.headers.get(HEIGHT_HEADER, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
