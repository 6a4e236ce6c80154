"""Where credentials come from: made up, from a Secret, or by the example webhook over real TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from devenv.checkout import ROOT
from garrison.adapters.credentials.issuer import KubeIssuer
from garrison.adapters.credentials.vault import Vault
from garrison.adapters.credentials.webhook import Allowed
from garrison.adapters.credentials.webhook import Webhook as Caller
from garrison.adapters.memory.kube import MemoryKube
from garrison.adapters.net.screen import Lookup, NetScreen
from garrison.adapters.sentinel.certificates import key_pem, new_key, pem
from garrison.api.meta import SECRET
from garrison.api.secret import Generate, KeyInSecret, Source, Webhook
from garrison.errors import (
    AuthError,
    GarrisonError,
    RejectedError,
    UnavailableError,
    UnsafeDestinationError,
)
from garrison.ports.credentials import CredentialAsk
from tests.unit.adapters.sentinel.trust import SYSTEM, cluster

TOKEN = "planted-token-2f9c"
HOST = "localhost"
NOWHERE = "mint.invalid"
"""a name that no resolver answers for (RFC 2606)"""


def ask(source: Source, version: int = 1) -> CredentialAsk:
    return CredentialAsk(
        secret="uid-1",
        namespace="prod",
        name="hub",
        holder="lease-1",
        holder_name="chat-1",
        version=version,
        source=source,
        scope="Workload",
        every_seconds=3600,
    )


def issuer(
    kube: MemoryKube, *hosts: str, private: bool = True, lookup: Lookup | None = None
) -> KubeIssuer:
    allowed = Allowed(hosts=frozenset(hosts), private=private)
    screen = NetScreen(lookup=lookup)
    caller = Caller(kube=kube, namespace=SYSTEM, screen=screen, allowed=allowed)
    return KubeIssuer(kube=kube, vault=Vault(kube=kube, namespace=SYSTEM), webhook=caller)


async def secret(kube: MemoryKube, namespace: str, name: str, **data: str) -> None:
    await kube.create(
        SECRET,
        {
            "metadata": {"name": name, "namespace": namespace},
            "data": {
                key.replace("_", "."): base64.b64encode(text.encode()).decode()
                for key, text in data.items()
            },
        },
    )


@pytest.mark.parametrize("kind", ["Password", "APIKey", "Ed25519"])
async def test_what_is_made_up_is_kept_until_it_is_revoked(kind: str) -> None:
    found = issuer(cluster())
    wanted = ask(Source(generate=Generate(kind=kind, length=40)))  # type: ignore[arg-type]
    await found.mint(wanted)
    first = await found.value(wanted)
    await found.mint(wanted)
    assert first is not None
    assert first == await found.value(wanted)
    await found.mint(replace(wanted, version=2))
    assert await found.value(replace(wanted, version=2)) != first
    if kind == "Ed25519":
        assert load_pem_private_key(first.value, None)
    else:
        assert len(first.value) == 40
    assert first.value.decode() not in repr(first)
    await found.revoke(wanted)
    await found.revoke(wanted)
    assert await found.value(wanted) is None


async def test_a_secret_is_copied_by_version_and_its_change_is_seen() -> None:
    kube = cluster()
    found = issuer(kube)
    wanted = ask(Source(type="SecretRef", secret_ref=KeyInSecret(name="given", key="token")))
    with pytest.raises(AuthError, match="Secret prod/given does not exist"):
        await found.mint(wanted)
    await secret(kube, "prod", "given", token="one")
    await found.mint(wanted)
    before = await found.digest(wanted)
    await kube.delete(SECRET, "prod", "given")
    await secret(kube, "prod", "given", token="two")
    assert await found.digest(wanted) != before
    kept = await found.value(wanted)
    assert kept is not None
    assert kept.value == b"one"


async def test_a_missing_key_is_named() -> None:
    kube = cluster()
    await secret(kube, "prod", "given", other="x")
    wanted = ask(Source(type="SecretRef", secret_ref=KeyInSecret(name="given", key="token")))
    with pytest.raises(AuthError, match="has no key 'token'"):
        await issuer(kube).mint(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """The example webhook at work."""

    port: int
    store: Path
    authority: str

    def valid(self) -> dict[str, str]:
        """What it holds valid."""
        found: dict[str, str] = json.loads(self.store.read_text())["valid"]
        return found

    def source(self, host: str = HOST) -> Source:
        return Source(type="Webhook", webhook=Webhook(url=f"https://{host}:{self.port}/v1"))


def certificate() -> tuple[str, str]:
    """A certificate for localhost, and for a name that is nobody's, that is its own authority."""
    key, now = new_key(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    names = x509.SubjectAlternativeName(
        [x509.DNSName(HOST), x509.DNSName(NOWHERE), x509.IPAddress(IPv4Address("127.0.0.1"))]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return pem(made), key_pem(key)


@pytest.fixture
async def mint(tmp_path: Path) -> AsyncIterator[Mint]:
    text, key = certificate()
    (tmp_path / "tls.crt").write_text(text)
    (tmp_path / "tls.key").write_text(key)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "docs" / "examples" / "mint.py"),
        *("--certificate", str(tmp_path / "tls.crt"), "--key", str(tmp_path / "tls.key")),
        *("--store", str(tmp_path / "keys.json"), "--port", "0"),
        env={**os.environ, "MINT_TOKEN": TOKEN},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = (await process.stdout.readline()).decode()
    yield Mint(port=int(said.rpartition(":")[2]), store=tmp_path / "keys.json", authority=text)
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await process.communicate()


async def administered(mint: Mint, token: str = TOKEN, host: str = HOST) -> MemoryKube:
    kube = cluster()
    await secret(kube, SYSTEM, f"webhook-{host}", token=token, ca_crt=mint.authority)
    return kube


async def test_the_webhook_mints_once_and_revokes_for_good(mint: Mint) -> None:
    kube = await administered(mint)
    found, wanted = issuer(kube, HOST), ask(mint.source())
    await found.mint(wanted)
    value = await found.value(wanted)
    assert value is not None
    assert list(mint.valid().values()) == [value.value.decode()]
    await Vault(kube=kube, namespace=SYSTEM).drop(wanted.key)
    await found.mint(wanted)
    assert await found.value(wanted) == value
    await found.revoke(wanted)
    await found.revoke(wanted)
    assert mint.valid() == {}
    with pytest.raises(RejectedError, match="410"):
        await found.mint(wanted)


@asynccontextmanager
async def mint_that_says(
    tmp_path: Path, *pieces: bytes, status: int = 200, location: str = ""
) -> AsyncIterator[Mint]:
    """A webhook that answers everything with these pieces, one after the other.

    With a ``location`` it sends a caller there, which gives a value to whoever comes.
    """
    text, key = certificate()
    store = tmp_path / "both.pem"
    store.write_text(text + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(store)

    async def answer(request: web.Request) -> web.StreamResponse:
        headers = {"location": location} if location else {}
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.05)
        return response

    app = web.Application()

    async def give(_request: web.Request) -> web.Response:
        return web.json_response({"value": "from-elsewhere"})

    app.router.add_post("/v1", answer)
    app.router.add_route("*", "/elsewhere", give)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    yield Mint(port=runner.addresses[0][1], store=store, authority=text)
    await runner.cleanup()


async def test_an_answer_may_come_in_pieces(tmp_path: Path) -> None:
    async with mint_that_says(tmp_path, b'{"value": ', b'"long-lived"}') as mint:
        found, wanted = issuer(await administered(mint), HOST), ask(mint.source())
        await found.mint(wanted)
        value = await found.value(wanted)
    assert value is not None
    assert value.value == b"long-lived"


async def test_an_endless_answer_is_cut_off(tmp_path: Path) -> None:
    async with mint_that_says(tmp_path, *[b"x" * 16_384] * 5) as mint:
        found = issuer(await administered(mint), HOST)
        with pytest.raises(UnavailableError, match="longer than"):
            await found.mint(ask(mint.source()))


async def test_an_answer_that_is_nested_too_deep_is_no_value(tmp_path: Path) -> None:
    async with mint_that_says(tmp_path, b"[" * 60_000) as mint:
        found = issuer(await administered(mint), HOST)
        with pytest.raises(UnavailableError, match="RecursionError"):
            await found.mint(ask(mint.source()))


async def test_a_credential_of_unknown_outcome_can_be_revoked(mint: Mint) -> None:
    found, wanted = issuer(await administered(mint), HOST), ask(mint.source())
    await found.revoke(wanted)
    with pytest.raises(RejectedError):
        await found.mint(wanted)


async def test_a_host_that_is_not_listed_is_never_called(mint: Mint) -> None:
    found = issuer(await administered(mint), "mint.example")
    with pytest.raises(RejectedError, match="not on the administrator's list") as caught:
        await found.mint(ask(mint.source()))
    assert caught.value.reason == "WebhookHostNotAllowed"
    assert not mint.store.exists()


@pytest.mark.parametrize("case", ["wrong token", "unknown authority", "nothing listens"])
async def test_what_goes_wrong_is_told_without_any_secret(mint: Mint, case: str) -> None:
    kube = await administered(mint, "wrong" if case == "wrong token" else TOKEN)
    wanted = ask(mint.source())
    match case:
        case "unknown authority":
            await kube.delete(SECRET, SYSTEM, f"webhook-{HOST}")
            expected: type[GarrisonError] = UnavailableError
        case "nothing listens":
            wanted = ask(Source(type="Webhook", webhook=Webhook(url=f"https://{HOST}:1/v1?k=s3")))
            expected = UnavailableError
        case _:
            expected = AuthError
    with pytest.raises(expected) as caught:
        await issuer(kube, HOST).mint(wanted)
    assert TOKEN not in str(caught.value)
    assert "s3" not in str(caught.value)
    if case == "unknown authority":
        assert f"needs ca.crt (PEM) in Secret webhook-{HOST}" in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(tmp_path: Path, status: int) -> None:
    async with mint_that_says(tmp_path, status=status, location="/elsewhere") as mint:
        found, wanted = issuer(await administered(mint), HOST), ask(mint.source())
        with pytest.raises(UnavailableError, match=f"answered with {status}"):
            await found.mint(wanted)
        with pytest.raises(UnavailableError, match=f"answered with {status}"):
            await found.revoke(wanted)
        assert await found.value(wanted) is None


async def test_a_listed_host_at_a_private_address_is_never_called(mint: Mint) -> None:
    found = issuer(await administered(mint), HOST, private=False)
    with pytest.raises(UnsafeDestinationError):
        await found.mint(ask(mint.source()))
    assert not mint.store.exists()


async def test_the_address_that_was_looked_at_is_the_one_that_is_called(mint: Mint) -> None:
    """A name that is looked up again may lead elsewhere by then: this one leads nowhere."""
    asked: list[str] = []

    async def loopback(host: str, port: int) -> list[str]:
        del port
        asked.append(host)
        return ["127.0.0.1"]

    kube = await administered(mint, host=NOWHERE)
    found, wanted = issuer(kube, NOWHERE, lookup=loopback), ask(mint.source(NOWHERE))
    await found.mint(wanted)
    assert len(mint.valid()) == 1
    assert asked == [NOWHERE]


@pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 429, 500])
async def test_nothing_that_a_webhook_answers_is_shown(tmp_path: Path, status: int) -> None:
    said = "planted-answer-7d1e"
    async with mint_that_says(tmp_path, f'["{said}"]'.encode(), status=status) as mint:
        with pytest.raises(GarrisonError) as caught:
            await issuer(await administered(mint), HOST).mint(ask(mint.source()))
    shown: BaseException | None = caught.value
    while shown is not None:
        assert said not in f"{shown!r} {shown}"
        shown = shown.__cause__
