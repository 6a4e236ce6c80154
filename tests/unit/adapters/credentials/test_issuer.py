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
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.sentinel.certificates import key_pem, new_key, pem
from garrison.api.meta import SECRET
from garrison.api.secret import Generate, KeyInSecret, Source, Webhook
from garrison.errors import AuthError, GarrisonError, RejectedError, UnavailableError
from garrison.ports.credentials import CredentialAsk
from tests.unit.adapters.sentinel.trust import SYSTEM, cluster

TOKEN = "planted-token-2f9c"
HOST = "localhost"


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


def issuer(kube: MemoryKube, *hosts: str) -> KubeIssuer:
    allowed = Allowed(hosts=frozenset(hosts), private=True)
    caller = Caller(kube=kube, namespace=SYSTEM, screen=NetScreen(), allowed=allowed)
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

    def source(self) -> Source:
        return Source(type="Webhook", webhook=Webhook(url=f"https://{HOST}:{self.port}/v1"))


def certificate() -> tuple[str, str]:
    """A certificate for localhost that is its own authority."""
    key, now = new_key(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    names = x509.SubjectAlternativeName(
        [x509.DNSName(HOST), x509.IPAddress(IPv4Address("127.0.0.1"))]
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


async def administered(mint: Mint, token: str = TOKEN) -> MemoryKube:
    kube = cluster()
    await secret(kube, SYSTEM, f"webhook-{HOST}", token=token, ca_crt=mint.authority)
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
async def mint_that_says(tmp_path: Path, *pieces: bytes) -> AsyncIterator[Mint]:
    """A webhook that answers everything with these pieces, one after the other."""
    text, key = certificate()
    store = tmp_path / "both.pem"
    store.write_text(text + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(store)

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.05)
        return response

    app = web.Application()
    app.router.add_post("/v1", answer)
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
