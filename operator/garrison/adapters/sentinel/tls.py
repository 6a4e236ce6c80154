"""TLS contexts of a client that accepts one server only: the lease's authority, its id, its key."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable, Iterator

from cryptography import x509

Check = Callable[[x509.Certificate], None]
"""Raises ssl.SSLCertVerificationError when the server is not the one that is meant."""


def client_context(*, certificate: str, key: str, trusted: str, check: Check) -> ssl.SSLContext:
    """Return a TLS 1.3 context with a client certificate; ``check`` runs before any byte is sent.

    ``certificate``, ``key`` and ``trusted`` are PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trusted)
    with _in_memory(certificate + key) as path:
        context.load_cert_chain(path)
    context.sslobject_class = _checking(check)
    return context


def _checking(check: Check) -> type[ssl.SSLObject]:
    """The standard library offers no hook between handshake and data but this class."""

    class Checked(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            der = self.getpeercert(binary_form=True)
            if der is None:
                raise ssl.SSLCertVerificationError("the server showed no certificate")
            check(x509.load_der_x509_certificate(der))

    return Checked


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[str]:
    """A path for what must not touch a disk; the library loads certificates from paths only."""
    handle = os.memfd_create("garrison-identity")
    try:
        os.write(handle, text.encode())
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
