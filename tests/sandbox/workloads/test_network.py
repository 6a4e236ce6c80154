"""Forwarded connections: slow, broken, many, half closed."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_sandbox.workloads.forward import Forward
from akash_sandbox.workloads.traffic import Line
from tests.sandbox.workloads.bench import Bench, answers, get, post, refuses, running

_SIZES = st.lists(st.integers(min_value=1, max_value=10**6), min_size=1, max_size=30)


@given(sizes=_SIZES, rate=st.integers(min_value=1, max_value=10**9), delay=st.floats(0, 5))
def test_a_line_is_never_faster_than_its_rate(sizes: list[int], rate: int, delay: float) -> None:
    line = Line(rate=rate, delay=delay)
    arrivals = [line.arrival(size, now=100.0) for size in sizes]
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] == pytest.approx(100.0 + sum(sizes) / rate + delay)


@given(sizes=_SIZES, delay=st.floats(0, 5))
def test_an_untouched_line_only_delays(sizes: list[int], delay: float) -> None:
    line = Line(delay=delay)
    assert [line.arrival(size, now=7.0) for size in sizes] == [7.0 + delay] * len(sizes)


async def test_the_shape_slows_the_network_and_can_be_lifted(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    supervisor = await bench.supervisor()
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    await supervisor.shape("tenant-1", latency_ms=300, bytes_per_second=200_000, speed_percent=100)
    began = loop.time()
    assert len(await post(external, "/echo", bytes(100_000))) == 100_000
    assert loop.time() - began >= 0.3 + 0.5
    await supervisor.shape("tenant-1", latency_ms=0, bytes_per_second=0, speed_percent=100)
    assert len(await post(external, "/echo", bytes(8_000_000))) == 8_000_000


async def test_open_connections_break_when_the_provider_dies(bench: Bench) -> None:
    supervisor = await bench.supervisor()
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    reader, writer = await asyncio.open_connection("127.0.0.1", external)
    writer.write(b"GET /spin?ms=20000 HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    await supervisor.suspend("tenant-1", True)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    with pytest.raises(ConnectionResetError):
        await writer.wait_closed()


async def test_a_port_that_nobody_serves_breaks_the_connection(bench: Bench) -> None:
    supervisor = await bench.supervisor()
    await supervisor.deploy(bench.ask(ports=(8000, 9000)))
    await running(supervisor)
    state = supervisor.state("tenant-1")
    assert state is not None
    assert not await answers(dict(state.forwarded)[9000])


async def test_serves_many_at_once(bench: Bench) -> None:
    supervisor = await bench.supervisor()
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    seen = await asyncio.gather(*(get(external, "/who") for _ in range(60)))
    assert {each["hostname"] for each in seen} == {"tenant-1"}


async def test_a_side_that_only_listens_still_gets_the_answer(bench: Bench) -> None:
    supervisor = await bench.supervisor()
    await supervisor.deploy(bench.ask())
    external = await running(supervisor)
    reader, writer = await asyncio.open_connection("127.0.0.1", external)
    writer.write(b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello")
    writer.write_eof()
    assert (await reader.read()).endswith(b"hello")
    writer.close()
    await writer.wait_closed()


async def test_a_forward_refuses_before_it_is_opened_and_after_it_is_shut() -> None:
    listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    forward = Forward("127.0.0.1", port, Line(), Line())
    forward.hold()
    assert await refuses(port)
    forward.open(_nobody)
    assert not await refuses(port)
    await forward.shut()
    assert await refuses(port)
    await forward.close()


async def _nobody() -> socket.socket:
    raise ConnectionRefusedError
