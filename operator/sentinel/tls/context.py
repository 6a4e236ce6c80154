"""TLS 1.3 server contexts that take only named clients, and the memory files that keys go through.

The standard library loads keys from paths only: an anonymous file in memory has one, and is
emptied and closed at once.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from typing import Any

if not hasattr(os, "memfd_create"):
    import tempfile  # rarely needed, and slow to import

ALPN = ("http/1.1", "h2")
"""In order of choice: a client that offers both gets what every workload speaks."""


def server_context(
    chain: str, key: str, authorities: Sequence[str], *, alpn: Sequence[str] = ()
) -> ssl.SSLContext:
    """Return a context that presents ``chain`` and takes clients of ``authorities`` only (PEM).

    Raises ssl.SSLError when key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options &= (
        ~ssl.OP_CIPHER_SERVER_PREFERENCE
    )  # all are good: the client knows its processor
    context.num_tickets = 0  # each connection proves itself anew; saves two records as well
    context.load_verify_locations(cadata="\n".join(authorities))
    context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(list(alpn))
    load_key(context, chain, key)
    return context


def load_key(context: ssl.SSLContext, chain: str, key: str) -> None:
    """Load key and certificates without a file on any disk. Raises ssl.SSLError."""
    fd = memory_file("key")
    try:
        os.write(fd, f"{key}\n{chain}".encode())
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.ftruncate(fd, 0)
        os.close(fd)


def memory_file(name: str) -> int:
    """Return a descriptor of an anonymous file that no path leads to; closed on exec."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 -- unnamed file
    with tempfile.TemporaryFile(dir=folder) as unnamed:
        return os.dup(unnamed.fileno())


def is_named(peer: ssl.SSLSocket, uri: str) -> bool:
    """Tell whether the peer's certificate has ``uri`` as its one and only URI name."""
    return bool(uri) and name_of(peer) == uri


def name_of(peer: ssl.SSLSocket) -> str:
    """Return the one and only URI name of the peer's certificate, "" when there is not exactly one."""
    certificate: dict[str, Any] = peer.getpeercert() or {}
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    return str(uris[0]) if len(uris) == 1 else ""
