"""Server-sent events, however they are cut up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garrison.adapters.openai.benchmark import model_name, timing
from garrison.adapters.openai.stream import Arrival, Reception, StreamError, arrivals

EVENTS = [
    {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"delta": {"content": "zażółć"}}]},
    {"choices": [{"delta": {"content": " 日本"}}]},
    {"choices": [], "usage": {"completion_tokens": 7}},
]
BODY = b": hello\n\n" + b"".join(
    b"data: " + json.dumps(each, ensure_ascii=False).encode() + b"\r\n\r\n" for each in EVENTS
)


async def pieces(*parts: bytes) -> AsyncIterator[tuple[float, bytes]]:
    for number, part in enumerate(parts):
        yield float(number), part


async def collect(*parts: bytes) -> list[Arrival]:
    return [each async for each in arrivals(pieces(*parts))]


def finished(work: Coroutine[Any, Any, list[Arrival]]) -> list[Arrival]:
    """Run a coroutine that waits for nothing, without an event loop."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: list[Arrival] = stop.value
        return result
    raise AssertionError("the coroutine waited")


@given(st.lists(st.integers(0, len(BODY)), max_size=12))
def test_cuts_do_not_change_the_events(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(BODY)]
    parts = [BODY[start:end] for start, end in pairwise(places)]
    assert [each.event for each in finished(collect(*parts))] == EVENTS


async def test_nothing_counts_after_done() -> None:
    assert len(await collect(BODY, b"data: [DONE]\n", BODY)) == len(EVENTS)


async def test_an_event_has_the_time_of_the_piece_that_completed_it() -> None:
    assert [each.at for each in await collect(b'data: {"a"', b": 1}\n", b'data: {"b": 2}\n')] == [
        1.0,
        2.0,
    ]


@pytest.mark.parametrize("body", [b"data: {\n", b"data: [1]\n", b"data: " + b"[" * 90_000 + b"\n"])
async def test_what_is_not_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(StreamError):
        await collect(body)


async def test_an_endless_line_is_refused() -> None:
    with pytest.raises(StreamError, match="exceeds"):
        await collect(*[b"x" * 65536] * 5)


async def test_endless_lines_are_refused() -> None:
    with pytest.raises(StreamError, match="exceeds"):
        await collect(*[b"\n" * 65536] * 65)


def received(*events: tuple[float, dict[str, Any]]) -> Reception:
    reception = Reception()
    for at, event in events:
        reception.take(Arrival(at=at, event=event))
    return reception


def token(text: str) -> dict[str, Any]:
    return {"choices": [{"text": text}]}


def test_timing_follows_the_definitions() -> None:
    reception = received((1.5, token("a")), (2.0, token("b")), (2.5, token("c")))
    result = timing(reception, sent=1.0, max_tokens=64)
    assert result.first_token == 0.5
    assert result.rate == 2.0


def test_the_servers_count_wins_over_chunks() -> None:
    usage = {"choices": [], "usage": {"completion_tokens": 11}}
    reception = received((1.0, token("several words")), (2.0, token("more")), (9.0, usage))
    assert timing(reception, sent=0.0, max_tokens=64).rate == 10.0


def test_empty_deltas_are_no_tokens() -> None:
    role = {"choices": [{"delta": {"role": "assistant", "content": ""}}]}
    reception = received((1.0, role), (3.0, token("a")), (4.0, token("b")))
    assert timing(reception, sent=0.0, max_tokens=64).first_token == 3.0


@pytest.mark.parametrize(
    ("reception", "message"),
    [
        (Reception(), "no text"),
        (Reception(first=1.0, last=1.0, chunks=5), "one piece"),
        (Reception(first=1.0, last=2.0, chunks=1), "1 tokens"),
        (Reception(first=1.0, last=2.0, chunks=2, tokens=10**9), "1000000000 tokens"),
        (Reception(first=1.0, last=2.0, chunks=2, tokens=-3), "-3 tokens"),
    ],
)
def test_lies_and_empty_answers_have_no_figures(reception: Reception, message: str) -> None:
    with pytest.raises(StreamError, match=message):
        timing(reception, sent=0.0, max_tokens=64)


def test_an_error_inside_the_stream_is_an_error() -> None:
    with pytest.raises(StreamError, match="out of memory"):
        received((1.0, {"error": {"message": "out of memory"}}))


@pytest.mark.parametrize(
    "event",
    [
        {"choices": "x"},
        {"choices": [None]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": 5}}]},
        {"usage": {"completion_tokens": True}},
        {"usage": []},
    ],
)
def test_odd_events_count_for_nothing(event: dict[str, Any]) -> None:
    assert received((1.0, event)) == Reception()


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b'{"data": []}', b'{"data": [{"id": 5}]}', b'{"data": [{"id": ""}]}']
)
def test_a_listing_without_a_model(raw: bytes) -> None:
    with pytest.raises(StreamError, match="names no model"):
        model_name(raw)
