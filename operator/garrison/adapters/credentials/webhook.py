"""The webhook that mints a credential for one holder and revokes it.

The contract is in ``docs/secrets.md``: both calls are repeated until they succeed, with the same key.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from garrison.api.meta import SECRET
from garrison.errors import AuthError, RejectedError, UnavailableError
from garrison.ports.credentials import CredentialAsk
from garrison.ports.kube import Kube
from garrison.ports.probe import Screen

TIMEOUT = aiohttp.ClientTimeout(total=20, sock_connect=5)
MAX_ANSWER = 64 * 1024
MAX_VALUE = 48 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What an administrator lets webhooks be: hosts by name, private addresses only if said so."""

    hosts: frozenset[str] = frozenset()
    private: bool = False


class Webhook:
    """Calls hosts of the administrator's list only, at screened addresses, without redirects.

    The Secret ``webhook-HOST`` beside the operator may hold ``token`` (sent as a bearer token) and
    ``ca.crt``. Nothing that a webhook answers is echoed anywhere.
    """

    def __init__(self, *, kube: Kube, namespace: str, screen: Screen, allowed: Allowed) -> None:
        self._kube = kube
        self._namespace = namespace
        self._screen = screen
        self._allowed = allowed

    async def mint(self, ask: CredentialAsk) -> bytes:
        """Return the value of a credential. Raises RejectedError, AuthError, UnavailableError."""
        answer = await self._called(ask, "Mint")
        encoded = answer.get("valueBase64")
        text = answer.get("value")
        try:
            value = (
                base64.b64decode(encoded, validate=True) if encoded else str(text or "").encode()
            )
        except (ValueError, TypeError):
            value = b""
        if not 0 < len(value) <= MAX_VALUE:
            raise UnavailableError(f"{_shown(ask)}: the answer to Mint holds no usable value")
        return value

    async def revoke(self, ask: CredentialAsk) -> None:
        """Have a credential revoked; one that was never minted is revoked as well."""
        await self._called(ask, "Revoke")

    async def _called(self, ask: CredentialAsk, action: str) -> Mapping[str, Any]:
        url = _url(ask)
        host = url.host or ""
        if host not in self._allowed.hosts:
            known = ", ".join(sorted(self._allowed.hosts)) or "none"
            raise RejectedError(
                f"webhook host {host!r} is not on the administrator's list ({known}); the list is the "
                "operator's --webhook-host, webhookHosts in the chart",
                reason="WebhookHostNotAllowed",
            )
        destination = await self._screen.destination(
            host, url.port or 443, allow_private=self._allowed.private
        )
        token, trusted = await self._administered(host)
        try:
            return await self._posted(ask, action, destination.address, token, trusted)
        except TimeoutError:
            raise UnavailableError(f"{_shown(ask)}: no answer in time") from None
        except ssl.SSLError as error:
            raise UnavailableError(
                f"{_shown(ask)}: {type(error).__name__}; one whose certificate is of a private "
                f"authority needs ca.crt (PEM) in Secret webhook-{host}"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
            raise UnavailableError(f"{_shown(ask)}: {type(error).__name__}") from None

    async def _administered(self, host: str) -> tuple[str, str]:
        raw = await self._kube.get(SECRET, self._namespace, f"webhook-{host}")
        data = (raw or {}).get("data") or {}
        found = [base64.b64decode(data.get(each, "")).decode() for each in ("token", "ca.crt")]
        return found[0].strip(), found[1]

    async def _posted(
        self, ask: CredentialAsk, action: str, address: str, token: str, trusted: str
    ) -> Mapping[str, Any]:
        url = _url(ask)
        context = ssl.create_default_context(cadata=trusted or None)
        headers = {"host": url.authority, "accept-encoding": "identity"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, force_close=True, limit=1),
                timeout=TIMEOUT,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            ) as session,
            session.post(
                url.with_host(address),
                json=_body(ask, action),
                headers=headers,
                allow_redirects=False,
                server_hostname=url.host,
            ) as response,
        ):
            async with asyncio.timeout(TIMEOUT.total):
                raw = await _read(ask, response)
            _judge(ask, action, response.status)
            return _answer(ask, raw) if action == "Mint" else {}


async def _read(ask: CredentialAsk, response: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > MAX_ANSWER:
            raise UnavailableError(f"{_shown(ask)}: the answer is longer than {MAX_ANSWER} bytes")
    return bytes(raw)


def _body(ask: CredentialAsk, action: str) -> dict[str, Any]:
    return {
        "apiVersion": "garrison.dev/v1alpha1",
        "action": action,
        "key": ask.key,
        "secret": {"namespace": ask.namespace, "name": ask.name},
        "holder": {"uid": ask.holder, "name": ask.holder_name, "scope": ask.scope},
        "version": ask.version,
        "everySeconds": ask.every_seconds,
    }


def _judge(ask: CredentialAsk, action: str, status: int) -> None:
    if status // 100 == 2 or (action == "Revoke" and status in {404, 410}):
        return
    message = f"{_shown(ask)}: {action} was answered with {status}"
    if status in {401, 403}:
        raise AuthError(f"{message}; look at token in Secret webhook-{_url(ask).host}")
    if status // 100 == 4 and status not in {408, 409, 425, 429}:
        raise RejectedError(
            f"{message}: by its contract a person must change something; its log says"
        )
    raise UnavailableError(message)


def _answer(ask: CredentialAsk, raw: bytes) -> Mapping[str, Any]:
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise UnavailableError(f"{_shown(ask)}: the answer to Mint is no JSON object")
    return found


def _url(ask: CredentialAsk) -> URL:
    webhook = ask.source.webhook
    if webhook is None:
        raise RejectedError("spec.source.webhook is not set")
    try:
        return URL(webhook.url)
    except ValueError:
        raise RejectedError(f"spec.source.webhook.url {webhook.url!r} is no URL") from None


def _shown(ask: CredentialAsk) -> str:
    """The webhook without its path and query, which may be secret."""
    return f"webhook {_url(ask).host}"
