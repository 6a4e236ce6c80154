"""Looking into a lease through its provider's gateway: output, events and a shell over WebSocket.

What is said here passes through the provider, who can read and change it, and no guard holds the
shell. Each connection has a token of its own: this lease, this provider, one right, a minute long.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Annotated, Any, TypeVar

import aiohttp
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from garrison.adapters.akash.connections import ProviderConnections, Verification
from garrison.adapters.akash.orders import SERVICE
from garrison.adapters.akash.tokens import Issuer, rights
from garrison.adapters.sockets import cause
from garrison.errors import AuthError, NotFoundError, RejectedError, UnavailableError
from garrison.ports.console import ClusterEvent, Line, Size, Stream
from garrison.ports.market import LeaseTarget

T = TypeVar("T")

OPEN_SECONDS = 20.0
CLOSE_SECONDS = 2.0
HEARTBEAT_SECONDS = 20.0
MAX_FRAME = 1 << 20
TOKEN_LIFE = timedelta(minutes=1)
SHELL = ("/bin/sh",)

STDOUT, STDERR, RESULT, FAILURE, STDIN, RESIZE = range(100, 106)
_SIZE = struct.Struct(">HH")
_FRAME = ConfigDict(extra="ignore")
_ENDED = {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED}


@dataclass(frozen=True, slots=True, kw_only=True, config=_FRAME)
class _Logged:
    message: str


@dataclass(frozen=True, slots=True, kw_only=True, config=_FRAME)
class _About:
    kind: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=_FRAME)
class _Event:
    type: str = ""
    reason: str = ""
    note: str = ""
    object: _About = Field(default_factory=_About)


@dataclass(frozen=True, slots=True, kw_only=True, config=_FRAME)
class _Result:
    exit_code: Annotated[int, Field(ge=-1, le=255)] = 0
    message: str = ""


_LOGGED: TypeAdapter[_Logged] = TypeAdapter(_Logged)
_EVENT: TypeAdapter[_Event] = TypeAdapter(_Event)
_RESULT: TypeAdapter[_Result] = TypeAdapter(_Result)


class GatewayConsole:
    """Implements ``ports.console.Console`` for a lease, and its events beside.

    Without an ``issuer`` of tokens the connections prove whose they are.
    """

    def __init__(
        self, *, issuer: Issuer | None, connections: ProviderConnections, target: LeaseTarget
    ) -> None:
        self._issuer = issuer
        self._connections = connections
        self._target = target

    async def close(self) -> None:
        """Close every connection."""
        await self._connections.close()

    async def lines(self, *, follow: bool, tail: int | None) -> AsyncIterator[Line]:
        """Yield the newest ``tail`` lines (None: all that are kept), and those that follow."""
        query = [
            ("follow", str(follow).lower()),
            ("tail", "-1" if tail is None else str(tail)),
            ("service", self._target.service or SERVICE),
        ]
        async for text in self._texts("logs", "logs", query, follow=follow):
            yield Line(text=_parsed(_LOGGED, text).message.rstrip("\r\n"))

    async def events(self, *, follow: bool) -> AsyncIterator[ClusterEvent]:
        """Yield what the provider's cluster tells about the container."""
        query = [("follow", str(follow).lower())]
        async for text in self._texts("kubeevents", "events", query, follow=follow):
            found = _parsed(_EVENT, text)
            about = f"{found.object.kind}/{found.object.name}"
            yield ClusterEvent(type=found.type, reason=found.reason, note=found.note, about=about)

    async def shell(self, argv: Sequence[str], size: Size | None, *, reads: bool) -> GatewaySession:
        """Run ``argv`` (empty: /bin/sh) beside the image's own process.

        RejectedError: it has an empty argument. A gateway would run what stands before it.
        """
        if "" in argv:
            raise RejectedError(
                "the provider's gateway drops an empty argument and all that follow it; have a shell "
                """write it: sh -c 'COMMAND ""'""",
                reason="CannotExecute",
            )
        listens = reads or size is not None
        query = [(f"cmd{number}", each) for number, each in enumerate(argv or SHELL)]
        query += [
            ("service", self._target.service or SERVICE),
            ("podIndex", "0"),
            ("tty", str(int(size is not None))),
            ("stdin", str(int(listens))),
        ]
        socket = await self._opened("shell", "shell", query, answers=listens)
        session = GatewaySession(socket, self._where("shell"))
        if size is not None:
            await session.resize(size)
        return session

    async def _texts(
        self, path: str, scope: str, query: Sequence[tuple[str, str]], *, follow: bool
    ) -> AsyncIterator[str]:
        """Yield text frames. A stream that was to follow and ends raises UnavailableError."""
        socket = await self._opened(path, scope, query)
        try:
            while (frame := await socket.receive()).type not in _ENDED:
                if frame.type is aiohttp.WSMsgType.ERROR:
                    raise UnavailableError(f"{self._where(path)}: {frame.data}")
                if frame.type is aiohttp.WSMsgType.TEXT:
                    yield frame.data
            _raise_for(_close_code(socket, frame), self._where(path), frame.extra)
            if follow:
                raise UnavailableError(f"{self._where(path)}: the stream ended")
        finally:
            await _ended(socket)

    async def _opened(
        self, path: str, scope: str, query: Sequence[tuple[str, str]], *, answers: bool = True
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a WebSocket. ``answers``: pings are answered.

        A gateway reads nothing from a command without input. What it did not read when it ends the
        connection, an answered ping too, takes the command's result away (measured).
        """
        target = self._target
        whole = f"/lease/{target.deployment}/{target.gseq}/{target.oseq}/{path}"
        place = await self._connections.place(target, whole, query)
        headers = {"host": place.authority}
        if self._issuer is not None:
            token = await self._issuer.issue(rights(target, scope), TOKEN_LIFE)
            headers["authorization"] = f"Bearer {token}"

        async def attempt(verification: Verification) -> aiohttp.ClientWebSocketResponse:
            return await self._connections.session.ws_connect(
                place.url,
                headers=headers,
                ssl=verification,
                server_hostname=place.server_name,
                heartbeat=HEARTBEAT_SECONDS,
                autoping=answers,
                max_msg_size=MAX_FRAME,
            )

        with _translated(self._where(path)):
            async with asyncio.timeout(OPEN_SECONDS):
                return await self._connections.proved(target.provider, attempt)

    def _where(self, path: str) -> str:
        return f"{path} of deployment {self._target.deployment} at {self._target.host_uri}"


class GatewaySession:
    """Implements ``ports.console.Session``. The first byte of a frame says what it carries."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, where: str) -> None:
        self._socket = socket
        self._where = where
        self._exit_code: int | None = None

    async def send(self, data: bytes) -> None:
        """Write to the command's input."""
        await self._frame(STDIN, data)

    async def end_input(self) -> bool:
        """Return False: the protocol has no frame for it."""
        return False

    async def resize(self, size: Size) -> None:
        """Change the terminal's size."""
        await self._frame(RESIZE, _SIZE.pack(size.columns & 0xFFFF, size.rows & 0xFFFF))

    async def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """Yield what the command writes. RejectedError: it could not be run."""
        while (frame := await self._socket.receive()).type not in _ENDED:
            if frame.type is aiohttp.WSMsgType.ERROR:
                raise UnavailableError(f"{self._where}: {frame.data}")
            if frame.type is not aiohttp.WSMsgType.BINARY or not frame.data:
                continue
            kind, data = frame.data[0], frame.data[1:]
            if kind in {STDOUT, STDERR}:
                yield (Stream.OUT if kind == STDOUT else Stream.ERR, data)
            elif kind == RESULT:
                self._exit_code = _code(data)
                return
            elif kind == FAILURE:
                raise UnavailableError(f"{self._where}: the provider's cluster gave up")
        _raise_for(_close_code(self._socket, frame), self._where, frame.extra)
        raise UnavailableError(f"{self._where}: the connection ended before the command did")

    @property
    def exit_code(self) -> int:
        """Return how the command ended."""
        if self._exit_code is None:
            raise RuntimeError("the command has not ended yet")
        return self._exit_code

    async def close(self) -> None:
        """Close the connection. A command that still runs is not ended by that (measured)."""
        await _ended(self._socket)

    async def _frame(self, kind: int, data: bytes) -> None:
        try:
            await self._socket.send_bytes(bytes([kind]) + data)
        except (aiohttp.ClientError, ConnectionError):
            return  # the command has ended: output says so


def _code(data: bytes) -> int:
    """Return the exit code; a message with 0 means that nothing ran (measured on a real gateway)."""
    found = _parsed(_RESULT, data)
    if found.exit_code == 0 and found.message:
        raise RejectedError(_line(found.message), reason="CannotExecute")
    return found.exit_code & 0xFF


def _parsed(adapter: TypeAdapter[T], data: str | bytes) -> T:
    try:
        return adapter.validate_json(data)
    except ValidationError:
        raise UnavailableError("the gateway sent a frame that makes no sense") from None


async def _ended(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Close a connection. A gateway that reads nothing never answers, and goes on sending."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await socket.close()


def _close_code(socket: aiohttp.ClientWebSocketResponse, frame: aiohttp.WSMessage) -> int | None:
    """Return the code of a close frame, or of a connection that ended without one.

    A gateway ends the connection right behind its close frame (measured); aiohttp, which can answer
    it no more, then says 1006.
    """
    return frame.data if frame.type is aiohttp.WSMsgType.CLOSE else socket.close_code


def _raise_for(code: int | None, where: str, said: Any) -> None:
    match code:
        case 4000 | 4002:
            raise UnavailableError(f"{where}: {_line(str(said or 'not available'))}")
        case 4001:
            raise NotFoundError(f"{where}: the provider does not run this lease")
        case 1009:
            raise UnavailableError(f"{where}: a frame is longer than {MAX_FRAME} bytes")
        case _:
            return  # 1000, or no close frame at all: measured both at a stream's ordinary end


@contextmanager
def _translated(where: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise UnavailableError(f"{where}: no answer within {OPEN_SECONDS:g} s") from None
    except aiohttp.WSServerHandshakeError as error:
        raise _refusal(error.status, where) from None
    except (aiohttp.ClientError, ValueError, UnavailableError) as error:
        raise UnavailableError(f"{where}: {_line(cause(error))}") from None


def _refusal(status: int, where: str) -> AuthError | NotFoundError | UnavailableError:
    if status in {400, 401, 403}:
        return AuthError(
            f"{where}: the provider refuses the token ({status}); check the clock, and that this "
            "account owns the deployment"
        )
    if status == 404:
        return NotFoundError(f"{where}: the provider does not know this lease")
    return UnavailableError(f"{where}: the provider answered {status}")


def _line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:300]
