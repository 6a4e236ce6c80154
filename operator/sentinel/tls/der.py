"""Distinguished Encoding Rules (X.690), as much of them as keys and certificates need."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

BOOLEAN, INTEGER, BITS, OCTETS, OID, UTF8, SEQUENCE, SET = 1, 2, 3, 4, 6, 12, 0x30, 0x31
_LONG = 0x80
_MAX_LENGTH_BYTES = 4


class DerError(ValueError):
    """Bytes that are not what their place demands."""


def tlv(tag: int, *parts: bytes) -> bytes:
    """Return one element: tag, length, and ``parts`` as its content."""
    content = b"".join(parts)
    size = len(content)
    if size < _LONG:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE of encoded elements."""
    return tlv(SEQUENCE, *parts)


def integer(number: int) -> bytes:
    """Return a non-negative INTEGER."""
    return tlv(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def bits(content: bytes) -> bytes:
    """Return a BIT STRING of whole bytes."""
    return tlv(BITS, b"\0", content)


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    out = bytearray((first * 40 + second,))
    for arc in rest:
        shifts = range(arc.bit_length() // 7 * 7, -1, -7)
        groups = [arc >> shift & 0x7F for shift in shifts]
        while len(groups) > 1 and not groups[0]:
            del groups[0]
        out += bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])
    return tlv(OID, bytes(out))


def pem(label: str, der: bytes) -> str:
    """Return ``der`` as text (RFC 7468)."""
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def pem_blocks(text: str, label: str) -> list[bytes]:
    """Return the content of every ``label`` block of ``text``. Raises DerError on broken base64."""
    begin, end = f"-----BEGIN {label}-----", f"-----END {label}-----"
    bodies = [part.partition(end)[0] for part in text.split(begin)[1:]]
    try:
        return [base64.b64decode("".join(body.split()), validate=True) for body in bodies]
    except binascii.Error as error:
        raise DerError(f"{label}: broken base64") from error


class Element:
    """One element of encoded bytes: ``tag``, ``content``, and ``whole`` with its header."""

    __slots__ = ("content", "tag", "whole")

    def __init__(self, tag: int, content: bytes, whole: bytes) -> None:
        self.tag, self.content, self.whole = tag, content, whole

    def children(self) -> list[Element]:
        """Return the elements inside. Raises DerError."""
        return list(elements(self.content))


def elements(data: bytes) -> Iterator[Element]:
    """Yield the elements of ``data``, one after another. Raises DerError."""
    at = 0
    while at < len(data):
        if len(data) - at < 2:
            raise DerError("an element without a length")
        tag, size, start = data[at], data[at + 1], at + 2
        if size & _LONG:
            count = size & ~_LONG
            if not 0 < count <= _MAX_LENGTH_BYTES:
                raise DerError(f"a length of {count} bytes")
            size, start = int.from_bytes(data[start : start + count], "big"), start + count
        if start + size > len(data):
            raise DerError("an element longer than what holds it")
        yield Element(tag, data[start : start + size], data[at : start + size])
        at = start + size


def only(data: bytes, tag: int) -> Element:
    """Return the one element that ``data`` is, of type ``tag``. Raises DerError."""
    found = list(elements(data))
    if len(found) != 1 or found[0].tag != tag:
        raise DerError(f"not one element with tag {tag:#x}")
    return found[0]
