"""Streams of gateways that are not honest: bounded, never redirected, errors of the tree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from akash_sandbox.tls import Authority
from garrison.adapters.akash import streams
from garrison.adapters.akash.connections import ProviderConnections
from garrison.adapters.akash.streams import MAX_FRAME, GatewayConsole, GatewaySession
from garrison.adapters.akash.tls import client_context
from garrison.adapters.net.screen import NetScreen
from garrison.errors import (
    AuthError,
    GarrisonError,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UnsafeDestinationError,
)
from garrison.ports.console import Stream
from garrison.ports.market import LeaseTarget
from tests.unit.adapters.serving import Handler, answering, serve_handler

HOST = "frost.example"
TARGET = LeaseTarget(deployment="77", gseq=1, oseq=2, provider="akash1frost", host_uri="")
Speak = Callable[[web.WebSocketResponse], Awaitable[None]]


class Signer:
    """Signs nothing, and remembers for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[Mapping[str, Any], timedelta]] = []

    async def issue(self, leases: Mapping[str, Any], lifetime: timedelta) -> str:
        self.asked.append((leases, lifetime))
        return "token"


async def loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@asynccontextmanager
async def console(
    handler: Handler,
    authority: Authority,
    *,
    signer: Signer | None = None,
    bundle: Path | None = None,
    allow_private: bool = True,
) -> AsyncIterator[GatewayConsole]:
    trusted = (bundle or authority.ca_file).read_text()
    async with serve_handler(handler, authority.server_context("gateway", [HOST])) as port:
        connections = ProviderConnections(
            screen=NetScreen(lookup=loopback),
            context=client_context(trusted),
            allow_private=allow_private,
        )
        made = GatewayConsole(
            issuer=signer or Signer(),
            connections=connections,
            target=replace(TARGET, host_uri=f"https://{HOST}:{port}"),
        )
        try:
            yield made
        finally:
            await made.close()


def speaking(speak: Speak) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await speak(socket)
        await socket.close()
        return socket

    return handler


def saying(*frames: str | bytes, code: int = 1000) -> Handler:
    async def speak(socket: web.WebSocketResponse) -> None:
        for each in frames:
            await (socket.send_str(each) if isinstance(each, str) else socket.send_bytes(each))
        await socket.close(code=code)

    return speaking(speak)


def dropping(code: int) -> Handler:
    """As real gateways do it: the connection ends right behind the close frame."""

    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        assert request.transport is not None
        request.transport.write(b"\x88\x02" + code.to_bytes(2, "big"))
        request.transport.close()
        return socket

    return handler


async def lines(found: GatewayConsole, *, follow: bool = False) -> list[str]:
    return [each.text async for each in found.lines(follow=follow, tail=None)]


async def written(session: GatewaySession) -> list[tuple[Stream, bytes]]:
    return [each async for each in session.output()]


async def test_a_token_is_for_one_right_and_a_minute(authority: Authority) -> None:
    signer = Signer()
    async with console(saying('{"name":"p","message":"one"}\n'), authority, signer=signer) as found:
        assert await lines(found) == ["one"]
        assert [each async for each in found.events(follow=False)]
    for (leases, lifetime), scope in zip(signer.asked, ("logs", "events"), strict=True):
        assert lifetime <= timedelta(minutes=1)
        (permission,) = leases["permissions"]
        assert (leases["access"], permission["provider"]) == ("granular", "akash1frost")
        (deployment,) = permission["deployments"]
        assert (deployment["dseq"], deployment["scope"]) == (77, [scope])


async def test_a_redirect_is_not_followed(authority: Authority) -> None:
    seen = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        raise web.HTTPFound("/elsewhere")

    async with console(handler, authority) as found:
        with pytest.raises(UnavailableError, match="redirects"):
            await lines(found)
    assert seen == ["/lease/77/1/2/logs"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, UnavailableError),
        (400, AuthError),
        (401, AuthError),
        (404, NotFoundError),
        (500, UnavailableError),
        (503, UnavailableError),
    ],
)
async def test_refusals(status: int, kind: type[GarrisonError], authority: Authority) -> None:
    async with console(answering(status), authority) as found:
        with pytest.raises(kind):
            await lines(found)


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (saying("{"), UnavailableError),
        (saying('{"message": 4}'), UnavailableError),
        (saying("[" * 10_000), UnavailableError),
        (saying("x" * (MAX_FRAME + 1)), UnavailableError),
        (saying(code=4000), UnavailableError),
        (saying(code=4001), NotFoundError),
        (saying(code=4002), UnavailableError),
        (dropping(4000), UnavailableError),
        (dropping(4001), NotFoundError),
        (dropping(4002), UnavailableError),
    ],
)
async def test_what_makes_no_sense_is_an_error(
    handler: Handler, kind: type[GarrisonError], authority: Authority
) -> None:
    async with console(handler, authority) as found:
        with pytest.raises(kind):
            await lines(found)


async def test_a_followed_stream_that_ends_is_an_error(authority: Authority) -> None:
    async with console(saying('{"message":"one"}'), authority) as found:
        with pytest.raises(UnavailableError, match="the stream ended"):
            await lines(found, follow=True)


async def test_a_stranger_gets_no_token(authority: Authority, tmp_path: Path) -> None:
    seen = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return web.Response()

    other = Authority(tmp_path).ca_file
    async with console(handler, authority, bundle=other) as found:
        with pytest.raises(UnavailableError):
            await lines(found)
    assert seen == []


async def test_a_private_address_is_not_dialled(authority: Authority) -> None:
    async with console(saying(), authority, allow_private=False) as found:
        with pytest.raises(UnsafeDestinationError):
            await lines(found)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ((b'\x66{"exit_code":7}\n',), 7),
        ((b"\x64out", b"\x65err", b"text", b"", b'\x66{"exit_code":0}'), 0),
    ],
)
async def test_a_command_ends_with_its_code(
    frames: tuple[bytes, ...], code: int, authority: Authority
) -> None:
    async with console(saying(*frames), authority) as found:
        session = await found.shell(["true"], None, reads=False)
        said = await written(session)
        assert session.exit_code == code
        assert said == ([] if code else [(Stream.OUT, b"out"), (Stream.ERR, b"err")])
        await session.close()


@pytest.mark.parametrize(
    ("reads", "heard"), [(True, web.WSMsgType.PONG), (False, web.WSMsgType.CLOSE)]
)
async def test_a_command_without_input_is_told_nothing(
    reads: bool, heard: web.WSMsgType, authority: Authority
) -> None:
    said: asyncio.Future[web.WSMsgType] = asyncio.get_running_loop().create_future()

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.query["stdin"] == str(int(reads))
        socket = web.WebSocketResponse(compress=False, autoping=False)
        await socket.prepare(request)
        await socket.ping()
        await socket.send_bytes(b'\x66{"exit_code":3}')
        said.set_result((await socket.receive()).type)
        return socket

    async with console(handler, authority) as found:
        session = await found.shell(["true"], None, reads=reads)
        assert await written(session) == []
        await session.close()
        assert session.exit_code == 3
        assert await asyncio.wait_for(said, 30) is heard


async def test_a_command_that_goes_on_is_left_soon(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "CLOSE_SECONDS", 0.1)

    async def speak(socket: web.WebSocketResponse) -> None:
        with suppress(ConnectionError):
            while True:
                await socket.send_bytes(b"\x64more")
                await asyncio.sleep(0.01)

    async with console(speaking(speak), authority) as found:
        session = await found.shell(["tail", "-f", "log"], None, reads=False)
        assert await anext(session.output()) == (Stream.OUT, b"more")
        await asyncio.wait_for(session.close(), 20)


async def test_a_command_with_an_empty_argument_is_not_cut_short(authority: Authority) -> None:
    signer = Signer()
    async with console(saying(), authority, signer=signer) as found:
        with pytest.raises(RejectedError, match="empty argument"):
            await found.shell(["rm", "-r", "", "old"], None, reads=False)
    assert signer.asked == []


async def test_why_nothing_answers_is_said_without_addresses_in_memory(
    authority: Authority,
) -> None:
    async with console(saying(), authority) as found:
        nowhere = GatewayConsole(
            issuer=Signer(),
            connections=found._connections,
            target=replace(TARGET, host_uri=f"https://{HOST}:1"),
        )
        with pytest.raises(UnavailableError) as caught:
            await lines(nowhere)
    assert "refused" in str(caught.value) or "Connect call failed" in str(caught.value)
    assert "object at" not in str(caught.value)


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        ((b'\x66{"exit_code":0,"message":"no such program"}',), RejectedError),
        ((b"\x66{",), UnavailableError),
        ((b'\x66{"exit_code":4096}',), UnavailableError),
        ((b"\x67",), UnavailableError),
        ((), UnavailableError),
        ((b"\x64" + b"x" * (MAX_FRAME + 1),), UnavailableError),
    ],
)
async def test_a_command_that_did_not_end_well(
    frames: tuple[bytes, ...], kind: type[GarrisonError], authority: Authority
) -> None:
    async with console(saying(*frames), authority) as found:
        session = await found.shell(["true"], None, reads=False)
        with pytest.raises(kind):
            await written(session)
        await session.close()
