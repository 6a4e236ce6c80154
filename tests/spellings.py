"""A planted secret in whatever it may be written down as: plain, base64 or hex, inside something longer."""

from __future__ import annotations

import base64

URL_SAFE = bytes.maketrans(b"+/", b"-_")
BREAKS = (b"\n", b"\r", b" ", b"\t", rb"\n", rb"\r")
"""what wraps long lines: real line breaks, and those inside of JSON"""


def is_held(secret: str | bytes, data: bytes) -> bool:
    """Return whether bytes hold a secret: plain, in base64 at any offset, in hex, also over line breaks."""
    wanted = spellings(secret)
    if any(each in data for each in wanted):
        return True
    for each in BREAKS:
        data = data.replace(each, b"")
    return any(each in data for each in wanted[1:])


def spellings(secret: str | bytes) -> tuple[bytes, ...]:
    """Return the secret, and what each encoding of something that holds it has in common."""
    plain = secret.encode() if isinstance(secret, str) else secret
    encoded = [_inner(plain, offset) for offset in range(3)]
    return (
        plain,
        *encoded,
        *(each.translate(URL_SAFE) for each in encoded),
        plain.hex().encode(),
        plain.hex().upper().encode(),
    )


def _inner(plain: bytes, offset: int) -> bytes:
    """Return the base64 digits of a secret at an offset that nothing before or after it has a part in."""
    digits = base64.b64encode(bytes(offset) + plain).rstrip(b"=")
    last = len(digits) - (1 if (offset + len(plain)) % 3 else 0)
    return digits[(8 * offset + 5) // 6 : last]
