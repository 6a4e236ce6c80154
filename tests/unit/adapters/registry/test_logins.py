"""A service account's key is exchanged at a token server over TLS, or nothing at all is handed on."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from akash_sandbox.tls import Authority
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.registry.logins import TokenLogins
from garrison.adapters.sentinel.certificates import key_pem
from garrison.adapters.system import SystemClock
from garrison.errors import (
    GarrisonError,
    PullLoginError,
    RateLimitedError,
    TransientError,
    UnavailableError,
)
from garrison.ports.logins import ProviderLogin
from garrison.ports.registry import Credentials
from tests.unit.adapters.registry.token_server import (
    AN_HOUR,
    READ_ONLY,
    TOKEN,
    TokenServer,
    key_file,
    pem,
    private_key,
)
from tests.unit.adapters.serving import (
    Handler,
    answering,
    closed_port,
    flooding,
    hanging,
    resetting,
    serve_handler,
)

HOST = "registry.example"
NAME = "localhost"
PATIENCE = aiohttp.ClientTimeout(total=20)


def logins(authority: Authority | None, *hosts: str, **changed: Any) -> TokenLogins:
    """Ours, which trust the test's authority and may call loopback."""
    context = ssl.create_default_context(cafile=str(authority.ca_file)) if authority else None
    known = {"allow_private": True, "timeout": PATIENCE, **changed}
    return TokenLogins(
        clock=SystemClock(), screen=NetScreen(), hosts=hosts, context=context, **known
    )


@asynccontextmanager
async def token_server(folder: Path, handler: Handler) -> AsyncIterator[tuple[Authority, str]]:
    """A server with a certificate for localhost; its authority, and its token_uri."""
    authority = Authority(folder)
    context = authority.server_context("tokens", [NAME])
    async with serve_handler(handler, context) as port:
        yield authority, f"https://{NAME}:{port}/token"


def login(text: str, user: str = "_json_key") -> Credentials:
    return Credentials(username=user, password=text)


async def refused(folder: Path, handler: Handler, **changed: Any) -> GarrisonError:
    """The error for a key at a server that answers like this; nothing of the key is in it."""
    async with token_server(folder, handler) as (authority, uri):
        text = key_file(uri)
        with pytest.raises(GarrisonError) as caught:
            await logins(authority, NAME, **changed).for_provider(login(text), HOST)
    assert_withheld(caught.value, json.loads(text))
    return caught.value


def assert_withheld(error: BaseException | None, key: Mapping[str, Any]) -> None:
    """Neither the error nor what led to it quotes the key."""
    pieces = [str(key["private_key"])[at : at + 24] for at in range(40, 1000, 24)]
    while error is not None:
        said = f"{error!r} {error}"
        assert not [piece for piece in pieces if piece in said]
        assert "eyJ" not in said, "no assertion either"
        error = error.__cause__ or error.__context__


async def test_a_key_becomes_a_token_of_an_hour(tmp_path: Path) -> None:
    server, before = TokenServer(), datetime.now(UTC)
    async with token_server(tmp_path, server.answer) as (authority, uri):
        server.audience = uri
        text = key_file(uri)
        found = await logins(authority, NAME).for_provider(login(text), HOST)
    assert found.credentials == Credentials(username="oauth2accesstoken", password=TOKEN)
    assert found.until is not None
    assert timedelta(minutes=59) < found.until - before <= timedelta(seconds=AN_HOUR + 60)
    (claims,) = server.asked
    assert claims["scope"] == READ_ONLY
    assert TOKEN not in repr(found)


async def test_a_key_in_base64_is_one_too(tmp_path: Path) -> None:
    server = TokenServer()
    async with token_server(tmp_path, server.answer) as (authority, uri):
        server.audience = uri
        text = base64.encodebytes(key_file(uri).encode()).decode()
        found = await logins(authority, NAME).for_provider(login(text, "_json_key_base64"), HOST)
    assert found.credentials.password == TOKEN


async def test_another_login_is_handed_on_as_it_is() -> None:
    """Amazon's user AWS among them: its password ends by itself after twelve hours."""
    for user in ("robot", "AWS", "oauth2accesstoken"):
        given = Credentials(username=user, password="pull-only-7f3")
        assert await logins(None).for_provider(given, HOST) == ProviderLogin(credentials=given)


def _at(uri: str = "https://localhost/", **changed: Any) -> Callable[[], str]:
    return lambda: key_file(uri, **changed)


def _on_a_curve() -> str:
    return key_file(
        "https://localhost/", private_key=key_pem(ec.generate_private_key(ec.SECP256R1()))
    )


def _too_short() -> str:
    return key_file("https://localhost/", private_key=pem(private_key(1024)))


UNUSABLE: Mapping[str, tuple[str, Callable[[], str], str]] = {
    "a password": ("_json_key", lambda: "hunter22", "it is no JSON object"),
    "a list": ("_json_key", lambda: "[]", "it is no JSON object"),
    "too deep": ("_json_key", lambda: "{" * 100_000, "it is no JSON object"),
    "a person's": ("_json_key", lambda: '{"type": "authorized_user"}', '"service_account"'),
    "in the clear": (" _json_key ", _at("http://localhost/"), "token_uri is no https URL"),
    "a login in it": ("_json_key", _at("https://a:b@localhost/"), "token_uri is no https URL"),
    "another user": ("robot", _at("https://[/token"), "token_uri is no https URL"),
    "nobody's": ("_json_key", _at(client_email=None), "it has no client_email"),
    "no key": ("_json_key", _at(private_key="x"), "is no RSA key in PEM"),
    "a long key": ("_json_key", _at(private_key="x" * 5000), "is no RSA key in PEM"),
    "a short key": ("_json_key", _too_short, "2048 to 4096"),
    "another kind": ("_json_key", _on_a_curve, "is no RSA key in PEM"),
}


@pytest.mark.parametrize("case", UNUSABLE)
async def test_what_is_no_usable_key_is_handed_to_nobody(case: str) -> None:
    user, text, says = UNUSABLE[case]
    with pytest.raises(PullLoginError, match=f"for {HOST} in imagePullSecrets") as caught:
        await logins(None, NAME).for_provider(login(text(), user), HOST)
    assert says in str(caught.value)
    assert caught.value.reason == "PullLoginRefused"
    assert_withheld(caught.value, {"private_key": pem(private_key())})
    assert "hunter22" not in str(caught.value)


async def test_a_host_that_nobody_listed_is_never_called(tmp_path: Path) -> None:
    server = TokenServer()
    async with token_server(tmp_path, server.answer) as (authority, uri):
        with pytest.raises(PullLoginError, match="not on the administrator's list") as caught:
            await logins(authority, "tokens.example").for_provider(login(key_file(uri)), HOST)
    assert "pullTokenHosts in the chart" in str(caught.value)
    assert server.asked == []


async def test_a_listed_host_at_a_private_address_is_never_called(tmp_path: Path) -> None:
    error = await refused(tmp_path, TokenServer().answer, allow_private=False)
    assert isinstance(error, PullLoginError)
    assert "must not be dialled" in str(error)


async def test_a_key_that_the_server_does_not_know_is_refused(tmp_path: Path) -> None:
    other = TokenServer(valid=private_key(1024).public_key())
    error = await refused(tmp_path, other.answer)
    assert isinstance(error, PullLoginError)
    assert "answered 400 (invalid_grant)" in str(error)
    assert "Invalid JWT Signature" not in str(error), "what it says is not echoed"


async def test_a_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with token_server(tmp_path, TokenServer().answer) as (_, uri):
        ours = logins(Authority(tmp_path / "other"), NAME)
        with pytest.raises(UnavailableError):
            await ours.for_provider(login(key_file(uri)), HOST)


def _says(**body: Any) -> Handler:
    return answering(text=json.dumps({"access_token": TOKEN, "expires_in": AN_HOUR} | body))


ODD: Mapping[str, tuple[Handler, type[GarrisonError]]] = {
    "busy": (answering(503, "eyJ"), UnavailableError),
    "broken": (answering(500), UnavailableError),
    "too many": (answering(429), RateLimitedError),
    "forbidden": (answering(403, '{"error": "<b>eyJ"}'), PullLoginError),
    "elsewhere": (answering(307, headers={"Location": "https://localhost/"}), PullLoginError),
    "no JSON": (answering(text="eyJ"), UnavailableError),
    "too deep": (answering(text="[" * 60_000), UnavailableError),
    "a list": (answering(text="[]"), UnavailableError),
    "no token": (_says(access_token=None), UnavailableError),
    "a line break": (_says(access_token="a\nb"), UnavailableError),
    "no end": (_says(expires_in=None), UnavailableError),
    "a year": (_says(expires_in=31_536_000), UnavailableError),
    "ended": (_says(expires_in=0), UnavailableError),
    "too large": (flooding, UnavailableError),
    "cut off": (resetting, UnavailableError),
}


@pytest.mark.parametrize("case", ODD)
async def test_an_odd_answer_hands_nothing_on(tmp_path: Path, case: str) -> None:
    handler, expected = ODD[case]
    error = await refused(tmp_path, handler)
    assert type(error) is expected
    assert isinstance(error, TransientError | PullLoginError)


async def test_no_answer_ends_in_time(tmp_path: Path) -> None:
    error = await refused(tmp_path, hanging, timeout=aiohttp.ClientTimeout(total=0.3))
    assert isinstance(error, UnavailableError)


async def test_where_nothing_listens_it_is_tried_again(tmp_path: Path) -> None:
    text = key_file(f"https://{NAME}:{closed_port()}/token")
    with pytest.raises(UnavailableError):
        await logins(Authority(tmp_path), NAME).for_provider(login(text), HOST)


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    seen: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=302, headers={"Location": "/other"})

    await refused(tmp_path, elsewhere)
    assert seen == ["/token"]
