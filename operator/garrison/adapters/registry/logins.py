"""Logins for providers: a service account's key stays here, an access token of it goes out.

The exchange is RFC 7523 section 2.1, answered by RFC 6749 section 5; written after Google's documents
(OAuth 2.0 for server to server applications; authentication of its registries), not tried on its servers.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from garrison.adapters.registry.service_account import (
    ServiceAccountKey,
    assertion,
    is_key,
    parse_key,
)
from garrison.adapters.registry.transport import Answer, Transport
from garrison.errors import (
    GarrisonError,
    PullLoginError,
    RateLimitedError,
    UnavailableError,
    UnsafeDestinationError,
)
from garrison.ports.clock import Clock
from garrison.ports.logins import ProviderLogin
from garrison.ports.probe import Screen
from garrison.ports.registry import Credentials

TOKEN_HOST = "oauth2.googleapis.com"  # noqa: S105 - a host
"""In the ``token_uri`` of every key that Google hands out."""
SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
"""The narrowest with which Google's documents say that images can be pulled."""
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
USER = "oauth2accesstoken"
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5, sock_connect=5)
"""Shorter than an order's intent may wait for its write."""
MAX_ANSWER = 64 * 1024
MAX_TOKEN = 16 * 1024
LONGEST = timedelta(days=1)
_AGAIN = frozenset({408, 425})
_CODES = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
"""RFC 6749 section 5.2: all that is ever shown of an answer."""


class TokenLogins:
    """Implements ``Logins``. A tenant writes ``token_uri``, so its host must be on a list.

    ``hosts`` are the administrator's beside Google's own; they are called at screened addresses only,
    by TLS, without redirects, and nothing that they answer is echoed.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        screen: Screen,
        hosts: Collection[str] = (),
        allow_private: bool = False,
        context: ssl.SSLContext | None = None,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
    ) -> None:
        self._clock = clock
        self._hosts = frozenset({TOKEN_HOST, *hosts})
        self._transport = Transport(
            screen=screen, allow_private=allow_private, context=context, timeout=timeout
        )

    async def for_provider(self, found: Credentials, host: str) -> ProviderLogin:
        """Return the login itself, or an access token in place of a service account's key."""
        if not is_key(found.username, found.password):
            return ProviderLogin(credentials=found)
        try:
            key = await asyncio.to_thread(parse_key, found.password)
        except ValueError as error:
            raise PullLoginError(
                f"the password for {host} in imagePullSecrets is no key that Garrison can exchange: "
                f"{error}. A key is handed to no provider, so nothing is ordered; put the file that "
                "`gcloud iam service-accounts keys create` writes there, for the user _json_key"
            ) from None
        self._check_host(key, host)
        return await self._exchanged(key, host)

    def _check_host(self, key: ServiceAccountKey, host: str) -> None:
        if key.token_uri.host not in self._hosts:
            raise PullLoginError(
                f"the key for {host} in imagePullSecrets names {key.token_uri.host} as its token_uri, which "
                f"is not on the administrator's list ({', '.join(sorted(self._hosts))}); the list is the "
                "operator's --pull-token-host, pullTokenHosts in the chart"
            )

    async def _exchanged(self, key: ServiceAccountKey, host: str) -> ProviderLogin:
        now = self._clock.now()
        form = {
            "grant_type": GRANT,
            "assertion": await asyncio.to_thread(assertion, key, SCOPE, now),
        }
        try:
            answer = await self._transport.post(key.token_uri, form, limit=MAX_ANSWER)
        except UnsafeDestinationError as error:
            raise PullLoginError(
                f"the key for {host} in imagePullSecrets cannot be exchanged: {error}"
            ) from None
        if answer.status != 200:
            raise _refused(answer, host)
        return _login(answer, now)


def _login(answer: Answer, now: datetime) -> ProviderLogin:
    body = _document(answer.body)
    token, seconds = body.get("access_token"), body.get("expires_in")
    if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN or not _is_plain(token):
        raise UnavailableError(f"{answer.url.host} answered 200, and no access token")
    if not isinstance(seconds, int) or not 0 < seconds <= LONGEST.total_seconds():
        raise UnavailableError(f"{answer.url.host} does not say when its access token ends")
    return ProviderLogin(
        credentials=Credentials(username=USER, password=token),
        until=now + timedelta(seconds=seconds),
    )


def _refused(answer: Answer, host: str) -> GarrisonError:
    where = f"{answer.url.host} answered {answer.status}"
    if answer.status == 429:
        return RateLimitedError(f"{where}; it asks for fewer calls")
    if answer.status >= 500 or answer.status in _AGAIN:
        return UnavailableError(f"{where}; it is asked again later")
    code = _document(answer.body).get("error")
    why = f" ({code})" if isinstance(code, str) and code in _CODES else ""
    return PullLoginError(
        f"{where}{why} to the key for {host} in imagePullSecrets, so there is no access token for a "
        "provider, and nothing is ordered: the key may be deleted, or its service account be disabled; "
        "put a key into the Secret that is valid"
    )


def _document(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_plain(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token
