"""DNS messages, as far as a filtering resolver must read them. Source: RFC 1035, section 4."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

ESCAPE = "\\"
"""Stands in a name only where a label has a byte that no host name has, among them the dot."""
A, CNAME, PTR, AAAA, SRV, SVCB, HTTPS = 1, 5, 12, 28, 33, 64, 65
PASSED = frozenset({A, CNAME, PTR, AAAA, SRV, SVCB, HTTPS})
"""Types that are asked upstream; TXT and others carry more out than a program needs."""
_NO_NAME, _SERVER_FAILURE = 3, 2
_RESPONSE, _RECURSION_DESIRED, _RECURSION_AVAILABLE, _TRUNCATED = 0x8000, 0x0100, 0x0080, 0x0200
_HEADER = 12
_PLAIN = re.compile(rb"[!-\-/-\[\]-~]+")
"""What is printed, but for the space, the dot and the backslash."""
_POINTER = 0xC0
_MAX_POINTERS = 20


class Query(NamedTuple):
    """One question; ``end`` is where it ends in the message."""

    id: int
    flags: int
    name: str
    type: int
    end: int


def read_query(message: bytes) -> Query | None:
    """Return the question of a well-formed query for exactly one name, else None."""
    try:
        number, flags, questions = struct.unpack_from(">HHH", message)
        if questions != 1 or flags & _RESPONSE:
            return None
        name, place = _read_name(message, _HEADER, pointers=False)
        kind = struct.unpack_from(">HH", message, place)[0]
    except (ValueError, IndexError, struct.error):
        return None
    return Query(number, flags, name, kind, place + 4)


def refusal(message: bytes, query: Query) -> bytes:
    """Return "no such name": unlike REFUSED it lets a resolver go on in its search list."""
    return _empty(message, query, _NO_NAME)


def failure(message: bytes, query: Query) -> bytes:
    """Return "server failure"."""
    return _empty(message, query, _SERVER_FAILURE)


def _empty(message: bytes, query: Query, code: int) -> bytes:
    flags = _RESPONSE | _RECURSION_AVAILABLE | (query.flags & _RECURSION_DESIRED) | code
    header = struct.pack(">HHHHHH", query.id, flags, 1, 0, 0, 0)
    return header + message[_HEADER : query.end]


def is_truncated(response: bytes) -> bool:
    """Return whether the answer must be asked again over TCP."""
    return bool(struct.unpack_from(">H", response, 2)[0] & _TRUNCATED)


def answers_to(response: bytes, message: bytes, query: Query) -> bool:
    """Return whether a response repeats the question of our message and its id."""
    return (
        len(response) >= query.end
        and response[:2] == message[:2]
        and bool(response[2] & _RESPONSE >> 8)
        and response[_HEADER : query.end].lower() == message[_HEADER : query.end].lower()
    )


def addresses(response: bytes, query: Query) -> list[tuple[bytes, int]]:
    """Return packed addresses that the name leads to, through CNAMEs, with their seconds to live.

    Raises ValueError when the response cannot be read.
    """
    try:
        aliases, found = _records(response, query)
    except (IndexError, struct.error) as error:
        raise ValueError("the response ends too early") from error
    names, name = {query.name}, query.name
    while name in aliases and aliases[name] not in names:
        name = aliases[name]
        names.add(name)
    return [(address, seconds) for owner, address, seconds in found if owner in names]


def _records(response: bytes, query: Query) -> tuple[dict[str, str], list[tuple[str, bytes, int]]]:
    aliases: dict[str, str] = {}
    found: list[tuple[str, bytes, int]] = []
    place = query.end
    for _ in range(struct.unpack_from(">H", response, 6)[0]):
        owner, place = _read_name(response, place)
        kind, _, seconds, length = struct.unpack_from(">HHIH", response, place)
        place += 10
        if kind == CNAME:
            aliases[owner] = _read_name(response, place)[0]
        elif (kind, length) in ((A, 4), (AAAA, 16)):
            found.append((owner, response[place : place + length], seconds))
        place += length
    return aliases, found


def _text(label: bytes) -> str:
    """Return a label as it stands in a name. Source: RFC 1035, section 5.1 (``\\DDD``).

    Without the escapes a label with a dot would read like two, and pass for another name.
    """
    if _PLAIN.fullmatch(label):
        return label.decode("ascii").lower()
    return "".join(
        chr(each).lower() if _PLAIN.fullmatch(bytes([each])) else f"{ESCAPE}{each:03}"
        for each in label
    )


def _read_name(message: bytes, place: int, *, pointers: bool = True) -> tuple[str, int]:
    labels: list[str] = []
    end = jumps = 0
    while length := message[place]:
        if length >= _POINTER and pointers and jumps < _MAX_POINTERS:
            end = end or place + 2
            place = (length & 0x3F) << 8 | message[place + 1]
            jumps += 1
            continue
        if length > 63 or place + length + 1 >= len(message):
            raise ValueError("a label is too long")
        labels.append(_text(message[place + 1 : place + 1 + length]))
        place += length + 1
    return ".".join(labels), end or place + 1
