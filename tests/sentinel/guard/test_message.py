"""DNS messages from strangers: read exactly, and never more than refused."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from sentinel.guard.message import addresses, answers_to, read_query, refusal

QUESTION = (
    struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\3www\2Hf\2co\0" + struct.pack(">HH", 1, 1)
)


def record(name: bytes, kind: int, data: bytes, seconds: int = 60) -> bytes:
    return name + struct.pack(">HHIH", kind, 1, seconds, len(data)) + data


def response(*records: bytes) -> bytes:
    header = struct.pack(">HHHHHH", 7, 0x8180, 1, len(records), 0, 0)
    return header + QUESTION[12:] + b"".join(records)


def test_a_question_is_read() -> None:
    query = read_query(QUESTION)
    assert query is not None
    assert (query.id, query.name, query.type, query.end) == (7, "www.hf.co", 1, len(QUESTION))


def test_addresses_count_only_along_the_aliases() -> None:
    query = read_query(QUESTION)
    assert query is not None
    alias = b"\3cdn\7example\0"
    got = response(
        record(b"\xc0\x0c", 5, alias),
        record(alias, 1, b"\1\2\3\4", 5),
        record(b"\5other\7example\0", 1, b"\5\6\7\x08"),
    )
    assert answers_to(got, QUESTION, query)
    assert addresses(got, query) == [(b"\1\2\3\4", 5)]


def test_a_refusal_says_no_such_name() -> None:
    query = read_query(QUESTION)
    assert query is not None
    refused = refusal(QUESTION, query)
    assert refused[:2] == QUESTION[:2]
    assert refused[3] & 0x0F == 3
    assert refused[12:] == QUESTION[12:]


@given(st.binary(max_size=64))
def test_noise_is_no_question_and_breaks_nothing(noise: bytes) -> None:
    query = read_query(noise)
    assert query is None or query.end <= len(noise)


@given(st.binary(max_size=200))
def test_noise_after_a_question_breaks_nothing(noise: bytes) -> None:
    query = read_query(QUESTION)
    assert query is not None
    try:
        found = addresses(response()[:6] + b"\0\3" + QUESTION[8:] + noise, query)
    except ValueError:
        return
    assert all(len(each) in (4, 16) for each, _ in found)
