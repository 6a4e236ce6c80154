"""A rented machine that answers the operator at its control port as it is told to, over real TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from garrison.adapters.sentinel.bootstrap import Pins
from garrison.adapters.sentinel.certificates import (
    fingerprint,
    key_pem,
    new_key,
    pem,
    pinned_client,
    pinned_server,
)
from garrison.adapters.sentinel.client import SentinelClient
from garrison.ports.identity import bootstrap_id, operator_id
from garrison.ports.probe import Destination
from garrison.ports.sentinel import Door
from tests.unit.adapters.sentinel.trust import DOMAIN, LEASE, Trust, trust

INSTANCE = "0" * 32
HELLO: Mapping[str, Any] = {
    "instance": INSTANCE,
    "lease": LEASE.uid,
    "nonce": "1" * 32,
    "protocol": 1,
    "sentinel": "2" * 64,
}
Shown = tuple[str, ec.EllipticCurvePrivateKey]
"""A certificate (PEM) and its key."""


def request(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate request, DER."""
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@dataclass(slots=True, kw_only=True)
class Machine:
    """It has the bootstrap of ``LEASE``, and does everything as it must unless a field says otherwise.

    ``answers`` are bodies by path. ``shows`` is what it presents in place of its bootstrap. ``proves``
    signs its proofs, ``csr`` is what it asks to be signed; ``nonce`` is what it signs in place of ours.
    """

    trust: Trust = field(default_factory=trust)
    answers: Mapping[str, bytes] = field(default_factory=dict)
    hello: Mapping[str, Any] = field(default_factory=lambda: HELLO)
    shows: Shown | None = None
    proves: ec.EllipticCurvePrivateKey | None = None
    csr: bytes = field(default_factory=lambda: request(new_key()))
    nonce: str = ""
    bootstrap: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    _own: ec.EllipticCurvePrivateKey = field(default_factory=new_key)
    _certificate: str = field(init=False)

    def __post_init__(self) -> None:
        now = self.trust.clock.now()
        self._certificate = pem(pinned_server(self.bootstrap, bootstrap_id(DOMAIN, LEASE), now))

    def client(self) -> SentinelClient:
        """The operator, who knows the bootstrap."""
        pins = Pins(
            bootstrap=self._certificate,
            certificate=pem(pinned_client(self._own, operator_id(DOMAIN), self.trust.clock.now())),
            key=key_pem(self._own),
        )
        return SentinelClient(
            pins=lambda _: pins,
            operator=self.trust.operator,
            leases=self.trust.leases,
            clock=self.trust.clock,
            domain=DOMAIN,
        )

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Door]:
        """Its control port, as the operator knows it."""
        certificate, key = self.shows or (self._certificate, self.bootstrap)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        handle = os.memfd_create("machine")
        os.write(handle, (certificate + key_pem(key)).encode())
        context.load_cert_chain(f"/proc/self/fd/{handle}")
        os.close(handle)
        listening = await asyncio.start_server(self._served, "127.0.0.1", 0, ssl=context)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            yield Door(
                lease=LEASE,
                destination=Destination(host="p.example", address="127.0.0.1", port=port),
                bootstrap=fingerprint(self.bootstrap.public_key()),
                digest="",
            )

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = head.partition("content-length:")[2].partition("\r\n")[0].strip() or "0"
                body = await reader.readexactly(int(length))
                raw = self._answer(head.split()[1], body)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(raw), raw))
                await writer.drain()
        writer.close()

    def _answer(self, path: str, body: bytes) -> bytes:
        if path in self.answers:
            return self.answers[path]
        match path:
            case "/v1/hello":
                text = f"{self.nonce or json.loads(body)['nonce']}\n{HELLO['nonce']}"
                return json.dumps({**self.hello, **self._proof("hello", text)}).encode()
            case "/v1/enrol":
                digest = hashlib.sha256(self.csr).hexdigest()
                text = f"{self.nonce or json.loads(body)['nonce']}\n{digest}"
                encoded = base64.encodebytes(self.csr).decode()
                csr = f"{_BEGIN}\n{encoded}{_END}\n"
                return json.dumps({"csr": csr, **self._proof("enrol", text)}).encode()
            case _:
                return b"{}"

    def _proof(self, what: str, said: str) -> dict[str, str]:
        key = self.proves or (self.shows[1] if self.shows is not None else self.bootstrap)
        text = f"garrison-{what}-v1\n{LEASE.uid}\n{INSTANCE}\n{said}"
        return {
            "proof": base64.b64encode(key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))).decode()
        }


_BEGIN = "-----BEGIN CERTIFICATE REQUEST-----"
_END = "-----END CERTIFICATE REQUEST-----"
