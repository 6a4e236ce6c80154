"""``garrison connect`` between clients and replicas that break off: what is repeated, and what never is."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from garrison.cli.connect import _serving
from garrison.cli.proxy import Proxy, Way
from garrison.core.traffic import Backend

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"
Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Replica:
    """A server that does to each request what its script says. ``left``: the proxy closed the way.

    ``body`` is what came with the newest.
    """

    name: str
    script: Script
    port: int = 0
    asked: int = 0
    body: bytes = b""
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        self.body = await reader.readexactly(int(length or 0))
        self.asked += 1
        try:
            await self.script(writer)
            await writer.drain()
        except OSError:
            self.left.set()
        writer.close()


async def whole(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + CHUNK + END)


async def silent(writer: asyncio.StreamWriter) -> None:
    """Take the request and close."""


async def head_only(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)


async def half(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + CHUNK)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while True:
        writer.write(CHUNK)
        await writer.drain()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def proxied(*scripts: Script) -> AsyncIterator[tuple[str, Proxy, list[Replica]]]:
    """A proxy before one replica for each script; yields its address."""
    replicas = [Replica(f"chat-{n}", script) for n, script in enumerate(scripts)]
    async with AsyncExitStack() as stack:
        for each in replicas:
            server = await asyncio.start_server(each.serve, "127.0.0.1", 0)
            stack.callback(server.close)
            each.port = server.sockets[0].getsockname()[1]

        async def way(_backend: Backend) -> Way:
            return Way(address="127.0.0.1")

        ready = [
            Backend(lease=each.name, host="p.example", port=each.port, peer=None, draining=False)
            for each in replicas
        ]
        proxy = Proxy(lambda: ready, way)
        port = await stack.enter_async_context(_serving(proxy, 0))
        yield f"http://127.0.0.1:{port}", proxy, replicas


async def test_an_answer_is_passed_on_with_the_name_of_its_replica() -> None:
    async with (
        proxied(whole) as (url, _, _),
        aiohttp.ClientSession() as session,
        session.get(f"{url}/v1/models?x=1") as answer,
    ):
        assert (answer.status, await answer.text()) == (200, "hello")
        assert answer.headers["x-garrison-replica"] == "chat-0"


@pytest.mark.parametrize("first", [silent, head_only])
async def test_a_request_without_a_byte_of_an_answer_goes_to_another_replica(first: Script) -> None:
    async with proxied(first, whole) as (url, _, replicas), aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(url, data=b"x") as answer:
                assert await answer.text() == "hello"
        assert replicas[0].asked >= 1
        assert replicas[1].asked == 2


async def test_an_answer_that_breaks_off_is_broken_for_the_client_and_never_repeated() -> None:
    async with proxied(half, half) as (url, proxy, replicas), aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            async with session.get(url) as answer:
                await answer.read()
        assert await proxy.drained(10)
        assert sum(each.asked for each in replicas) == 1


async def test_a_client_that_leaves_ends_its_request_at_the_replica(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with proxied(endless, endless) as (url, proxy, replicas):
        async with aiohttp.ClientSession() as session:
            answer = await session.get(url)
            await answer.content.readany()
            answer.close()
        assert await proxy.drained(10)
        (asked,) = [each for each in replicas if each.asked]
        assert asked.asked == 1
        await asyncio.wait_for(asked.left.wait(), 10)
    assert caplog.records == []


async def test_a_packed_body_arrives_as_it_was_sent() -> None:
    packed = gzip.compress(b'{"prompt": "hello"}')
    async with proxied(whole) as (url, _, [replica]), aiohttp.ClientSession() as session:
        headers = {"content-encoding": "gzip"}
        async with session.post(url, data=packed, headers=headers) as answer:
            assert answer.status == 200
    assert replica.body == packed
