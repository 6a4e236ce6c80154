"""HTTPS to the Console API: one key, bounded, no redirects, errors in Garrison's terms.

After a 429 nothing is sent for a while, whoever asks: every controller shares the account's limit.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias

import aiohttp
from yarl import URL

from garrison.adapters.akash.body import BodyError, decode, excerpt, read_bounded
from garrison.adapters.akash.cooldown import Cooldown
from garrison.adapters.sockets import cause
from garrison.errors import (
    AuthError,
    ConflictError,
    FundsError,
    GarrisonError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
    UnknownOutcomeError,
)

Method: TypeAlias = Literal["GET", "POST", "DELETE"]

TIMEOUT = aiohttp.ClientTimeout(total=20, connect=10, sock_connect=5)
AT_ONCE = 32
"""Reads under way, and writes: apart, so that no write waits behind the reads of a slow API."""
MAX_BODY = 32 << 20
MAX_RETRY_AFTER = 3600.0
_POOR = ("insufficient balance", "insufficient funds", "not enough funds", "insufficient credit")
_CREDIT = "add credit to the account, or lower treasury.depositHours"
_MALFORMED = ("validation error", "failed to decode message")
"""How the API says that it does not know such a request; what the chain refuses reads differently."""


class UnsupportedCallError(RejectedError):
    """The API does not know this call or this kind of body; nothing was done."""


class ConsoleClient:
    """Calls one Console API with one key.

    A write whose answer is lost, broken or 5xx raises UnknownOutcomeError; the same happening to a
    read, or to any call before it was sent, raises UnavailableError.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        key: str,
        context: ssl.SSLContext,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
        max_body: int = MAX_BODY,
    ) -> None:
        self._base = URL(endpoint.rstrip("/"))
        self._max_body = max_body
        self._cooldown = Cooldown()
        self._reads, self._writes = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(AT_ONCE)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            timeout=timeout,
            headers={"x-api-key": key, "accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Return the JSON answer of a read."""
        return await self._call("GET", path, params=params, write=False)

    async def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON answer of a POST that changes nothing on the market."""
        return await self._call("POST", path, body=body, write=False)

    async def write(self, method: Method, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON answer of a call that changes the market."""
        return await self._call(method, path, body=body, write=True)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _call(
        self,
        method: Method,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        write: bool,
    ) -> Any:
        """Call once it is this call's turn; waiting for it says nothing about the API."""
        async with self._writes if write else self._reads:
            return await self._send(method, path, params=params, body=body, write=write)

    async def _send(
        self,
        method: Method,
        path: str,
        *,
        params: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        write: bool,
    ) -> Any:
        what = f"{method} {self._base.host}{path}"
        self._check_pause(what)
        try:
            async with self._session.request(
                method, f"{self._base}{path}", params=params, json=body, allow_redirects=False
            ) as response:
                raw = await read_bounded(response, self._max_body)
                self._note(response)
                if response.status // 100 != 2:
                    raise refusal(what, response.status, response.headers, raw, write=write)
                return await decode(raw)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise UnavailableError(f"{what} cannot be reached: {cause(error)}; {_HINT}") from error
        except TimeoutError as error:
            raise lost(what, "did not answer in time", write=write) from error
        except aiohttp.ClientError as error:
            raise lost(what, f"broke off: {error}", write=write) from error
        except BodyError as error:
            raise lost(what, f"answered nonsense: {error}", write=write) from error

    def _check_pause(self, what: str) -> None:
        left = self._cooldown.left(asyncio.get_running_loop().time())
        if left:
            raise RateLimitedError(
                f"{what} is not sent: the API asked for fewer calls; {left:.0f} s are left",
                retry_after=left,
            )

    def _note(self, response: aiohttp.ClientResponse) -> None:
        """Pause after a 429; ``refusal`` says it to the caller."""
        if response.status == 429:
            now = asyncio.get_running_loop().time()
            self._cooldown.refused(now, retry_after(response.headers))
        else:
            self._cooldown.served()


_HINT = "check the endpoint, the network and, for a local market, caBundle"


def lost(what: str, why: str, *, write: bool, after: float | None = None) -> GarrisonError:
    """Return the error for an answer that never came whole."""
    if write:
        return UnknownOutcomeError(f"{what} {why}; whether it took effect is looked up")
    return UnavailableError(f"{what} {why}; it is asked again later", retry_after=after)


def refusal(
    what: str, status: int, headers: Mapping[str, str], raw: bytes, *, write: bool
) -> GarrisonError:
    """Return the error for an answer that is not 2xx."""
    said = f"{what} answered {status}: {excerpt(raw)}"
    match status:
        case 401 | 403:
            return AuthError(f"{said}; check the API key in the account's Secret")
        case 402:
            return FundsError(f"{said}; {_CREDIT}")
        case 404:
            return NotFoundError(said)
        case 409:
            return ConflictError(f"{said}; it is tried again")
        case 405 | 410 | 501:
            return UnsupportedCallError(f"{said}; check the endpoint")
        case 429:
            return RateLimitedError(
                f"{said}; nothing is sent for a while. If it stays so, give Garrison an account that "
                "nothing else uses",
                retry_after=retry_after(headers),
            )
        case 503:
            why = f"answered 503: {excerpt(raw)}; the API is down, or its own wallet is short: not yours"
            return lost(what, why, write=write, after=retry_after(headers))
        case _ if 400 <= status < 500 and status not in {408, 425}:
            return rejection(said)
        case _ if status < 400:
            return UnavailableError(f"{said}; redirects are not followed: check the endpoint")
        case _:
            return lost(what, f"failed with {status}: {excerpt(raw)}", write=write)


def rejection(said: str) -> RejectedError:
    """Return the error for a refused request: the chain's word for an empty wallet is FundsError."""
    if any(word in said.lower() for word in _POOR):
        return FundsError(f"{said}; {_CREDIT}")
    if any(word in said.lower() for word in _MALFORMED):
        return UnsupportedCallError(f"{said}; this version of Garrison may be too old for the API")
    return RejectedError(said)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After (RFC 9110, 10.2.3), None without one that makes sense.

    A date is counted from the answer's own Date: the two clocks need not agree.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return min(float(text), MAX_RETRY_AFTER)
    until, now = _date(text), _date(headers.get("Date", ""))
    if until is None or now is None:
        return None
    return min(max(0.0, (until - now).total_seconds()), MAX_RETRY_AFTER)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
