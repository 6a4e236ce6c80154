"""The account at providers' gateways by client certificate: published on the chain, shown in TLS."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from akash_proto.schema.akash_cert_v1_pb2 import MsgCreateCertificate
from garrison.adapters.akash.chain.answers import CERTIFICATE
from garrison.adapters.akash.chain.certificates import CERTIFICATES
from garrison.adapters.akash.chain.nodes import Nodes
from garrison.adapters.akash.chain.outbox import Outbox
from garrison.adapters.akash.wallet.client_key import ClientKey
from garrison.adapters.akash.wallet.signer import Signer
from garrison.adapters.handshake import check_server, load_identity
from garrison.ports.clock import Clock

RENEW = timedelta(days=30)
"""A certificate that ends sooner is not taken any more: another is published."""


class ChainIdentity:
    """Makes TLS contexts that show the account's certificate (``connections.Identity``)."""

    def __init__(self, *, nodes: Nodes, signer: Signer, outbox: Outbox, clock: Clock) -> None:
        self._nodes = nodes
        self._signer = signer
        self._outbox = outbox
        self._clock = clock
        self._certificate: x509.Certificate | None = None
        self._lock = asyncio.Lock()

    async def context(self, servers: Collection[bytes]) -> ssl.SSLContext:
        """Return a context for servers whose certificate has one of these SHA-256, and no other.

        Publishes a certificate of the account when the chain has none that lasts. Raises what the
        chain's refusal of that means.
        """
        key = await ClientKey.of(self._signer)
        async with self._lock:
            certificate = await self._current(key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # which certificate it must be is checked instead
        load_identity(context, key.identity(certificate))

        def check(server: x509.Certificate) -> None:
            if server.fingerprint(hashes.SHA256()) not in servers:
                raise ssl.SSLCertVerificationError("it is none that the provider has on the chain")

        check_server(context, check)
        return context

    async def _current(self, key: ClientKey) -> x509.Certificate:
        if self._certificate is None or not self._lasts(self._certificate):
            self._certificate = await self._published(key) or await self._publish(key)
        return self._certificate

    async def _published(self, key: ClientKey) -> x509.Certificate | None:
        params = {"filter.owner": self._signer.address, "filter.state": "valid"}
        items = await self._nodes.pages(CERTIFICATES, params, "certificates")
        read = [found for each in items if (found := _read(each)) is not None]
        mine = [each for each in read if key.owns(each) and self._lasts(each)]
        return max(mine, key=lambda each: each.not_valid_after_utc, default=None)

    async def _publish(self, key: ClientKey) -> x509.Certificate:
        made = key.certificate(self._clock.now())
        message = MsgCreateCertificate(
            owner=self._signer.address,
            cert=made.public_bytes(Encoding.PEM),
            pubkey=key.public_pem,
        )
        await self._outbox.send(message, "the account's client certificate")
        return made

    def _lasts(self, certificate: x509.Certificate) -> bool:
        now = self._clock.now()
        return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - RENEW


def _read(item: Any) -> x509.Certificate | None:
    try:
        listed = CERTIFICATE.validate_python(item).certificate
        return x509.load_pem_x509_certificate(base64.b64decode(listed.cert, validate=True))
    except (ValueError, binascii.Error):
        return None
