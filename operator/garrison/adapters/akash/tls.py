"""TLS contexts: the system's certificate authorities, and an account's own beside them."""

from __future__ import annotations

import ssl

from garrison.errors import InvalidSpecError


def client_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return a context that verifies certificates and host names.

    ``ca_bundle`` is PEM. Raises InvalidSpecError when it holds no certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_bundle is not None:
        _trust(context, ca_bundle)
    return context


def _trust(context: ssl.SSLContext, ca_bundle: str) -> None:
    try:
        context.load_verify_locations(cadata=ca_bundle)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidSpecError(
            f"the account's caBundle holds no usable PEM certificate: {error}; "
            "paste the whole file with its BEGIN and END lines"
        ) from error
