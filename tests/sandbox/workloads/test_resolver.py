"""The test network's resolver, message by message."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_sandbox.egress.resolver import answer, truncated

FOUR, SIX = IPv4Address("203.0.113.10"), IPv6Address("2001:db8::10")
MANY = tuple(IPv4Address("198.51.100.0") + number for number in range(60))
NAMES = {"api.example.test": (FOUR, SIX), "many.example.test": MANY}
A, AAAA, TXT = 1, 28, 16
NO_ERROR, FORMAT_ERROR, NO_SUCH_NAME, NOT_IMPLEMENTED = 0, 1, 3, 4


def query(name: str, kind: int = A, *, flags: int = 0x0100, class_: int = 1) -> bytes:
    """Return a query as libraries send it."""
    labels = b"".join(bytes([len(each)]) + each.encode() for each in name.split("."))
    header = struct.pack("!6H", 0xBEEF, flags, 1, 0, 0, 0)
    return header + labels + b"\0" + struct.pack("!2H", kind, class_)


def read(message: bytes, asked: bytes) -> tuple[int, list[IPv4Address | IPv6Address]]:
    """Return code and addresses of an answer, once its form was checked."""
    id_, flags, questions, count, *_ = struct.unpack_from("!6H", message)
    assert id_ == 0xBEEF
    assert flags & 0x8000
    if questions:
        assert message[12 : len(asked)] == asked[12:]
    at, found = len(asked), []
    for _ in range(count):
        name, _, class_, _, length = struct.unpack_from("!3HIH", message, at)
        assert (name, class_) == (0xC00C, 1)
        found.append(ip_address(message[at + 12 : at + 12 + length]))
        at += 12 + length
    assert not count or at == len(message)
    return flags & 0xF, found


@pytest.mark.parametrize(
    ("asked", "code", "addresses"),
    [
        (query("api.example.test"), NO_ERROR, [FOUR]),
        (query("API.Example.TEST"), NO_ERROR, [FOUR]),
        (query("api.example.test", AAAA), NO_ERROR, [SIX]),
        (query("api.example.test", TXT), NO_ERROR, []),
        (query("example.test"), NO_SUCH_NAME, []),
        (query("api.example.test", class_=3), FORMAT_ERROR, []),
        (query("api.example.test", flags=0x2800), NOT_IMPLEMENTED, []),
        (query("api.example.test")[:-3], FORMAT_ERROR, []),
    ],
)
def test_a_query_is_answered(
    asked: bytes, code: int, addresses: list[IPv4Address | IPv6Address]
) -> None:
    assert read(answer(asked, NAMES), asked) == (code, addresses)


def test_an_answer_too_long_for_a_datagram_says_so() -> None:
    asked = query("many.example.test")
    whole = answer(asked, NAMES)
    assert read(whole, asked) == (NO_ERROR, list(MANY))
    short = truncated(whole)
    assert len(short) <= 512
    assert struct.unpack_from("!H", short, 2)[0] & 0x0200
    assert read(short, asked) == (NO_ERROR, [])
    assert truncated(answer(query("api.example.test"), NAMES)) == answer(
        query("api.example.test"), NAMES
    )


@given(st.binary(max_size=600))
def test_nothing_that_arrives_is_a_problem(data: bytes) -> None:
    message = answer(data, NAMES)
    assert len(message) == 0 or len(message) >= 12
    assert truncated(message) == message or len(message) > 512


def test_an_answer_is_not_answered() -> None:
    assert answer(answer(query("api.example.test"), NAMES), NAMES) == b""
