"""DNS messages from strangers: read exactly, and never more than refused."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.guard.message import ESCAPE, addresses, answers_to, read_query, refusal

QUESTION = (
    struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\3www\2Hf\2co\0" + struct.pack(">HH", 1, 1)
)


def record(name: bytes, kind: int, data: bytes, seconds: int = 60) -> bytes:
    return name + struct.pack(">HHIH", kind, 1, seconds, len(data)) + data


def asking(labels: Iterable[bytes]) -> bytes:
    name = b"".join(bytes([len(each)]) + each for each in labels) + b"\0"
    return QUESTION[:12] + name + struct.pack(">HH", 1, 1)


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


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ((b"www", b"Hf", b"co"), "www.hf.co"),
        ((b"_dns", b"a-b"), "_dns.a-b"),
        ((b"www.hf.co",), r"www\046hf\046co"),
        ((b"secret.www", b"hf", b"co"), r"secret\046www.hf.co"),
        ((b"a b", b"co"), r"a\032b.co"),
        ((b"a\0", b"co"), r"a\000.co"),
        ((b"a\\046b", b"co"), r"a\092046b.co"),
        ((b"\xc3\xa4", b"co"), r"\195\164.co"),
        ((b"A\x7f", b"co"), r"a\127.co"),
    ],
)
def test_a_label_with_what_no_host_name_has_is_escaped(
    labels: tuple[bytes, ...], name: str
) -> None:
    query = read_query(asking(labels))
    assert query is not None
    assert query.name == name
    assert (ESCAPE in name) is (name not in {"www.hf.co", "_dns.a-b"})


LABELS = st.lists(st.binary(min_size=1, max_size=63), min_size=1, max_size=4)


@given(LABELS, LABELS)
def test_two_names_read_alike_only_when_they_are_the_same(
    one: list[bytes], other: list[bytes]
) -> None:
    first, second = read_query(asking(one)), read_query(asking(other))
    assert first is not None
    assert second is not None
    assert first.name.isascii()
    assert first.name.isprintable()
    same = [each.lower() for each in one] == [each.lower() for each in other]
    assert (first.name == second.name) is same


@given(LABELS)
def test_a_plain_name_has_as_many_labels_as_were_sent(labels: list[bytes]) -> None:
    query = read_query(asking(labels))
    assert query is not None
    if ESCAPE not in query.name:
        assert query.name.split(".") == [each.decode().lower() for each in labels]


def test_an_alias_with_a_dot_in_a_label_leads_nowhere() -> None:
    query = read_query(QUESTION)
    assert query is not None
    forged = b"\x0bcdn.example\0"
    got = response(record(b"\xc0\x0c", 5, b"\3cdn\7example\0"), record(forged, 1, b"\1\2\3\4"))
    assert addresses(got, query) == []


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
