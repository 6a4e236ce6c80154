"""TLS contexts of a client that accepts one server only: the lease's authority, its id, its key."""

from __future__ import annotations

import ssl

from garrison.adapters.handshake import Check, check_server, load_identity


def client_context(*, certificate: str, key: str, trusted: str, check: Check) -> ssl.SSLContext:
    """Return a TLS 1.3 context with a client certificate; ``check`` runs before any byte is sent.

    ``certificate``, ``key`` and ``trusted`` are PEM.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trusted)
    load_identity(context, (certificate + key).encode())
    check_server(context, check)
    return context
