"""Which certificate a gateway shows to whom."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.sandbox.sandbox_process import SandboxProcess

CONFIG = """
workloads: {runtime: synthetic}
chain: {tls: false}
providers:
  - {name: web, region: eu-west}
  - {name: bare, region: eu-west, web_certificate: false}
"""


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    process = SandboxProcess(tmp_path_factory.mktemp("tls") / "data", CONFIG)
    process.start()
    yield process
    assert process.stop() == 0


def records(process: SandboxProcess) -> dict[str, tuple[str, str]]:
    """Return each provider's host URI with its address, by name."""
    with urllib.request.urlopen(f"{process.chain_url}/akash/provider/v1beta4/providers") as answer:
        found = json.loads(answer.read())["providers"]
    ports = json.loads((process.folder / "server-ports.json").read_text())
    names = {str(port): name.removeprefix("gateway/") for name, port in ports.items()}
    return {names[r["host_uri"].rpartition(":")[2]]: (r["host_uri"], r["owner"]) for r in found}


def on_chain(process: SandboxProcess, owner: str) -> bytes:
    """Return the certificate that a provider published, DER."""
    asked = f"filter.owner={owner}&filter.state=valid"
    url = f"{process.chain_url}/akash/cert/v1/certificates/list?{asked}"
    with urllib.request.urlopen(url) as answer:
        (found,) = json.loads(answer.read())["certificates"]
    pem = base64.b64decode(found["certificate"]["cert"])
    certificate = x509.load_pem_x509_certificate(pem)
    assert str(certificate.serial_number) == found["serial"]
    return certificate.public_bytes(Encoding.DER)


def shown(uri: str, name: str | None, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """Return the certificate that a gateway shows to who asks for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = most
    place = urlsplit(uri)
    with (
        socket.create_connection((place.hostname or "", place.port or 0), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        certificate = tls.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


@pytest.mark.parametrize(
    ("provider", "name", "is_own"),
    [
        ("web", None, False),
        ("web", "localhost", False),
        ("web", "mtls.localhost", True),
        ("web", "else.example", True),
        ("bare", None, True),
        ("bare", "localhost", True),
    ],
)
def test_the_name_decides_which_certificate_is_shown(
    serving: SandboxProcess, provider: str, name: str | None, is_own: bool
) -> None:
    uri, owner = records(serving)[provider]
    own = on_chain(serving, owner)
    assert (shown(uri, name) == own) is is_own
    common = x509.load_der_x509_certificate(own).subject.rfc4514_string()
    assert f"CN={owner}" in common


def test_older_tls_is_refused(serving: SandboxProcess) -> None:
    uri, _ = records(serving)["web"]
    assert shown(uri, None)
    with pytest.raises(ssl.SSLError):
        shown(uri, None, ssl.TLSVersion.TLSv1_2)


def test_the_certificate_of_the_chain_stays_the_same(serving: SandboxProcess) -> None:
    _, owner = records(serving)["bare"]
    before = on_chain(serving, owner)
    assert serving.stop() == 0
    serving.start()
    assert on_chain(serving, owner) == before
