"""A self-signed gateway is believed when, and only when, its provider put that certificate on chain."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from garrison.adapters.akash.chain.certificates import CERTIFICATES, ChainCertificates
from garrison.adapters.akash.connections import Certificates
from garrison.adapters.akash.gateway import ProviderGateway
from garrison.adapters.akash.tls import client_context
from garrison.adapters.akash.tokens import LeaseTokens
from garrison.adapters.net.screen import NetScreen
from garrison.adapters.system import SystemClock
from garrison.errors import UnavailableError
from garrison.ports.market import LeaseTarget
from tests.unit.adapters.akash.chain.node_double import NodeDouble, nodes_of
from tests.unit.adapters.serving import answering, serve_handler

PROVIDER = "akash1fua7vttr8xvfuv6ll25636g35xcavmjxvrpt9q"
OTHER = "akash1jgpmkadcmwywrhmtqq4we4hnaq7yal8l88yg2u"
HOST = "gateway.example"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A self-signed certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def fingerprint(self) -> bytes:
        return self.certificate.fingerprint(hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def listed(self, state: str = "valid") -> dict[str, Any]:
        """It as the chain lists it."""
        text = base64.b64encode(self.pem).decode()
        return {"certificate": {"state": state, "cert": text, "pubkey": ""}, "serial": "1"}

    def context(self, folder: Path) -> ssl.SSLContext:
        """A server's context that shows it."""
        file = folder / f"{self.fingerprint.hex()}.pem"
        private = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file.write_bytes(self.pem + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(file)
        return context


def identity(subject: str = PROVIDER, issuer: str | None = None, ends: timedelta = DAY) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer or subject))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + ends)
        .public_key(key.public_key())
    )
    return Identity(certificate=built.sign(key, hashes.SHA256()), key=key)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


async def known(items: Sequence[Any]) -> Sequence[bytes]:
    """What is believed of a provider whose list holds ``items``."""
    double = NodeDouble()
    double.answers[CERTIFICATES] = (200, {"certificates": list(items), "pagination": None})
    async with nodes_of(double) as nodes:
        certificates = ChainCertificates(nodes=nodes, clock=SystemClock())
        found = await certificates.of(PROVIDER)
        assert await certificates.of(PROVIDER) == found
        assert double.count(CERTIFICATES) == 1
        assert f"filter.owner={PROVIDER}" in next(e for e in double.asked if CERTIFICATES in e)
        return found


async def test_only_sound_certificates_of_the_provider_itself_are_believed() -> None:
    good = identity()
    items = [
        identity(OTHER).listed(),
        identity(PROVIDER, issuer=OTHER).listed(),
        identity(ends=-timedelta(hours=1)).listed(),
        identity().listed(state="revoked"),
        {"certificate": {"state": "valid", "cert": "!"}},
        {"certificate": {"state": "valid", "cert": base64.b64encode(b"text").decode()}},
        None,
        good.listed(),
    ]
    assert await known(items) == (good.fingerprint,)


class Listed:
    """Certificates by provider (``Certificates``)."""

    def __init__(self, by_provider: Mapping[str, Sequence[Identity]]) -> None:
        self.by_provider = by_provider
        self.asked = 0

    async def of(self, provider: str) -> Sequence[bytes]:
        self.asked += 1
        return [each.fingerprint for each in self.by_provider.get(provider, ())]


class Token:
    """Signs nothing (``Issuer``)."""

    async def issue(self, leases: Mapping[str, Any], lifetime: timedelta) -> str:
        return "token"


async def _loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@asynccontextmanager
async def gateway(certificates: Certificates | None) -> AsyncIterator[ProviderGateway]:
    found = ProviderGateway(
        tokens=LeaseTokens(issuer=Token(), clock=SystemClock()),
        screen=NetScreen(lookup=_loopback),
        context=client_context(None),
        manifest=lambda _number, _order: "[]",
        allow_private=True,
        certificates=certificates,
    )
    try:
        yield found
    finally:
        await found.close()


def target(port: int) -> LeaseTarget:
    return LeaseTarget(
        deployment="7", gseq=1, oseq=1, provider=PROVIDER, host_uri=f"https://{HOST}:{port}"
    )


async def test_a_gateway_with_its_certificate_on_chain_is_believed(tmp_path: Path) -> None:
    shown, older = identity(), identity()
    listed = Listed({PROVIDER: [older, shown]})
    server = serve_handler(answering(200, "{}"), shown.context(tmp_path))
    async with server as port, gateway(listed) as found:
        for _ in range(3):
            assert await found.status(target(port)) is not None
    assert listed.asked == 1, "what proved the provider is remembered"


@pytest.mark.parametrize("listing", ["nothing", "another", "foreign", "console"])
async def test_any_other_self_signed_gateway_is_not_told_the_token(
    tmp_path: Path, listing: str
) -> None:
    shown = identity()
    listed: Listed | None = {
        "nothing": Listed({}),
        "another": Listed({PROVIDER: [identity()]}),
        "foreign": Listed({OTHER: [shown]}),
        "console": None,
    }[listing]
    asked: list[str] = []

    async def handler(request: Any) -> Any:
        asked.append(request.path)
        return await answering(200, "{}")(request)

    server = serve_handler(handler, shown.context(tmp_path))
    async with server as port, gateway(listed) as found:
        with pytest.raises(UnavailableError, match="certificate"):
            await found.status(target(port))
    assert asked == []
