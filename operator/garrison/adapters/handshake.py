"""What the standard library's TLS contexts lack: a look at the server, and identities from memory."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable, Iterator

from cryptography import x509

Check = Callable[[x509.Certificate], None]
"""Raises ssl.SSLCertVerificationError when the server is not the one that is meant."""


def check_server(context: ssl.SSLContext, check: Check) -> None:
    """Let ``check`` run after every handshake, before any byte is sent.

    The standard library offers no hook between handshake and data but this class.
    """

    class Checked(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            der = self.getpeercert(binary_form=True)
            if der is None:
                raise ssl.SSLCertVerificationError("the server showed no certificate")
            check(x509.load_der_x509_certificate(der))

    context.sslobject_class = Checked


def load_identity(context: ssl.SSLContext, pem: bytes) -> None:
    """Give a context the certificate and key that it shows. They never touch a disk."""
    with _in_memory(pem) as path:
        context.load_cert_chain(path)


@contextlib.contextmanager
def _in_memory(pem: bytes) -> Iterator[str]:
    """A path to the text; the library loads certificates from paths only."""
    handle = os.memfd_create("garrison-identity")
    try:
        os.write(handle, pem)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
