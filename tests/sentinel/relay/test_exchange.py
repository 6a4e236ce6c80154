"""How requests are counted, as tables: what passes, and what the counters then say."""

from __future__ import annotations

import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.relay.counters import BUCKETS, Counters, Tally, Totals
from sentinel.relay.exchange import Exchange

GET, POST = b"GET / HTTP/1.1\r\n\r\n", b"POST /v1 HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
# what passes: "c" from the client, "w" from the workload; then requests, in flight, answered
CASES: dict[str, tuple[list[tuple[str, bytes]], int, int, int]] = {
    "nothing": ([], 0, 0, 0),
    "a request without an answer": ([("c", GET)], 1, 1, 0),
    "an answer of known length": ([("c", GET), ("w", SIZED)], 1, 0, 1),
    "in two parts": ([("c", GET), ("w", SIZED[:-2]), ("w", SIZED[-2:])], 1, 0, 1),
    "not all of it": ([("c", GET), ("w", SIZED[:-2])], 1, 1, 1),
    "two on one connection": ([("c", GET), ("w", SIZED), ("c", GET), ("w", SIZED)], 2, 0, 2),
    "a body apart": ([("c", POST), ("c", b"GET "), ("w", SIZED)], 1, 0, 1),
    "chunks": ([("c", GET), ("w", CHUNKED), ("w", b"1\r\na\r\n")], 1, 1, 1),
    "chunks and the last": ([("c", GET), ("w", CHUNKED), ("w", b"0\r\n\r\n")], 1, 0, 1),
    "no body": ([("c", GET), ("w", b"HTTP/1.1 204 No Content\r\n\r\n")], 1, 0, 1),
    "HEAD": ([("c", b"HEAD / HTTP/1.1\r\n\r\n"), ("w", SIZED[:-5])], 1, 0, 1),
    "continue": ([("c", POST), ("w", b"HTTP/1.1 100 Continue\r\n\r\n")], 1, 1, 0),
    "no length": ([("c", GET), ("w", b"HTTP/1.1 200 OK\r\n\r\nabc")], 1, 1, 1),
    "no length, and the next": (
        [("c", GET), ("w", b"HTTP/1.1 200 OK\r\n\r\nabc"), ("c", GET)],
        2,
        1,
        1,
    ),
    "upgraded": ([("c", GET), ("w", b"HTTP/1.1 101 \r\n\r\n"), ("c", GET)], 1, 1, 0),
    "upgraded, with a long head": (
        [("c", GET), ("w", b"HTTP/1.1 101 Switching\r\nX: " + b"y" * 3000), ("c", GET)],
        1,
        1,
        0,
    ),
    "no body, and not all of its head": ([("c", GET), ("w", b"HTTP/1.1 204 No Cont")], 1, 1, 1),
    "HTTP/2": ([("c", b"PRI * HTTP/2.0\r\n"), ("w", b"\0\0"), ("c", GET)], 1, 1, 0),
    "a broken length": (
        [("c", GET), ("w", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")],
        1,
        1,
        1,
    ),
}


def _after(passed: list[tuple[str, bytes]], *, closed: bool = False) -> Totals:
    counters = Counters(1)
    buffer = mmap.mmap(-1, 4096)
    tally = Tally(counters.slots[0])
    exchange = Exchange(tally, buffer)
    for side, data in passed:
        buffer[: len(data)] = data  # what earlier reads left stays behind it
        (exchange.from_client if side == "c" else exchange.from_workload)(len(data))
    if closed:
        exchange.closed()
    tally.publish()
    return counters.totals()


@pytest.mark.parametrize(("passed", "requests", "in_flight", "answered"), CASES.values(), ids=CASES)
def test_requests_are_counted(
    passed: list[tuple[str, bytes]], requests: int, in_flight: int, answered: int
) -> None:
    totals = _after(passed)
    assert totals.counts["requests"] == requests
    assert totals.counts["in_flight"] == in_flight
    assert sum(totals.first_byte.counts) == answered
    assert sum(totals.total.counts) == requests - in_flight


PIECES = st.sampled_from([GET, POST, SIZED, CHUNKED, b"0\r\n\r\n", b"", b"x", b"PRI * HTTP/2.0"])


@given(st.lists(st.tuples(st.sampled_from("cw"), PIECES | st.binary(max_size=60)), max_size=12))
def test_whatever_passes_is_over_when_the_connection_is(passed: list[tuple[str, bytes]]) -> None:
    totals = _after(passed, closed=True)
    assert totals.counts["in_flight"] == 0
    assert sum(totals.total.counts) == totals.counts["requests"]


def test_latencies_fall_into_their_buckets() -> None:
    counters = Counters(2)
    tally = Tally(counters.slots[1])
    tally.first += [0.0, 0.005, 0.0051, 1.0, 500.0]
    tally.publish()
    histogram = counters.totals().first_byte
    assert histogram.counts[0] == 2
    assert histogram.counts[1] == 1
    assert histogram.counts[BUCKETS.index(1.0)] == 1
    assert histogram.counts[-1] == 1
    assert histogram.seconds == pytest.approx(501.0101)


def test_a_worker_forked_anew_counts_on() -> None:
    counters = Counters(1)
    for _ in range(2):
        tally = Tally(counters.slots[0])
        tally.bytes_in, tally.requests = tally.bytes_in + 3, tally.requests + 1
        tally.now = 7.9
        tally.publish()
        tally.publish()
    counts = counters.totals().counts
    assert (counts["bytes_in"], counts["requests"], counts["last_request"]) == (6, 2, 7)
