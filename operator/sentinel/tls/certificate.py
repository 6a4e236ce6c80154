"""Certificate requests, and what is read from certificates (RFC 2986, RFC 5280)."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timezone
from typing import NamedTuple, Tuple  # noqa: UP035 -- evaluated at run time on Python 3.9

from sentinel.tls import der
from sentinel.tls.p256 import Key

_COMMON_NAME = der.oid("2.5.4.3")
_ALT_NAME = der.oid("2.5.29.17")
_EXTENSION_REQUEST = der.oid("1.2.840.113549.1.9.14")
_ECDSA_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"))
_DNS, _URI = 0x82, 0x86
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


def request(key: Key, common_name: str, *, uri: str, dns: str) -> bytes:
    """Return a signed certificate request, DER, with one URI and one DNS name."""
    names = der.sequence(der.tlv(_DNS, dns.encode()), der.tlv(_URI, uri.encode()))
    extensions = der.sequence(der.sequence(_ALT_NAME, der.tlv(der.OCTETS, names)))
    subject = der.sequence(
        der.tlv(der.SET, der.sequence(_COMMON_NAME, der.tlv(der.UTF8, common_name.encode())))
    )
    attributes = der.tlv(0xA0, der.sequence(_EXTENSION_REQUEST, der.tlv(der.SET, extensions)))
    body = der.sequence(der.integer(0), subject, key.spki(), attributes)
    return der.sequence(body, _ECDSA_SHA256, der.bits(key.sign(body)))


class Certificate(NamedTuple):
    """What Garrison reads from a certificate; ``not_after`` in seconds since 1970."""

    spki: bytes
    not_after: int
    uris: Tuple[str, ...]  # noqa: UP006 -- as above

    def pin(self) -> str:
        """Return the SHA-256 of the public key, hex: what a client pins."""
        return pin(self.spki)


def pin(spki: bytes) -> str:
    """Return the SHA-256 of a SubjectPublicKeyInfo, hex."""
    return hashlib.sha256(spki).hexdigest()


def parse(text: str) -> Certificate:
    """Return the first certificate of PEM ``text``. Raises DerError."""
    blocks = der.pem_blocks(text, "CERTIFICATE")
    if not blocks:
        raise der.DerError("no certificate in PEM form")
    try:
        body = der.only(blocks[0], der.SEQUENCE).children()[0].children()
        if body[0].tag == 0xA0:  # the version, absent in version 1
            body = body[1:]
        validity, spki = body[3], body[5]
        not_after = _time(validity.children()[1])
        return Certificate(spki.whole, not_after, tuple(_uris(body[6:])))
    except (IndexError, UnicodeDecodeError) as error:
        raise der.DerError("not a certificate") from error


def rfc3339(seconds: float) -> str:
    """Return a moment as text, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _time(element: der.Element) -> int:
    text = element.content.decode("ascii")
    if element.tag == _UTC_TIME:  # two digits of the year: 1950 to 2049
        text = ("19" if text >= "50" else "20") + text
    elif element.tag != _GENERALIZED_TIME:
        raise der.DerError("an unknown form of time")
    if len(text) != 15 or text[-1] != "Z" or not text[:14].isdigit():
        raise der.DerError(f"not a time: {text[:20]}")
    pairs = [int(text[at : at + 2]) for at in range(4, 14, 2)]
    month, day, hour, minute, second = pairs
    try:
        moment = datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError as error:
        raise der.DerError(f"not a time: {text}") from error
    return int(moment.timestamp())


def _uris(rest: list[der.Element]) -> list[str]:
    found = []
    for holder in rest:
        if holder.tag != 0xA3:
            continue
        for extension in der.only(holder.content, der.SEQUENCE).children():
            fields = extension.children()
            if fields[0].whole == _ALT_NAME:
                names = der.only(fields[-1].content, der.SEQUENCE).children()
                found += [name.content.decode("ascii") for name in names if name.tag == _URI]
    return found
