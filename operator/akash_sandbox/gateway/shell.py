"""Commands inside a leased container over a WebSocket."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

from aiohttp import WSMsgType, web

from akash_sandbox import leased_service
from akash_sandbox.gateway.access import Access, Leased
from akash_sandbox.gateway.answers import empty
from akash_sandbox.gateway.streams import NOT_FOUND, dropped, opened, pinging
from akash_sandbox.venue import Venue
from akash_sandbox.workload import NoProgramError, Session

_STDOUT, _STDERR, _RESULT = 100, 101, 102
_STDIN, _RESIZE = 104, 105
_NEEDED = ("cmd0", "service", "podIndex", "tty", "stdin")
_REMOTE = "remote command execute error: "
_SIZE = struct.Struct(">HH")


class Shell:
    """The handler of the shell. A frame's first byte tells what it carries."""

    def __init__(self, venue: Venue, access: Access) -> None:
        self._venue = venue
        self._access = access

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Run ``cmd0``, ``cmd1`` ... and end the connection without a close frame."""
        found = self._access.running(request, "shell")
        if not all(request.query.get(name) for name in _NEEDED):
            return empty(400)
        socket = await opened(request, drops=False)
        if found is None:
            await socket.close(code=NOT_FOUND)
            return socket
        result = await self._result(request, socket, found)
        if not socket.closed:
            body = json.dumps(result, separators=(",", ":")).encode()
            await socket.send_bytes(bytes([_RESULT]) + body + b"\n")
        return dropped(request, socket)

    async def _result(
        self, request: web.Request, socket: web.WebSocketResponse, found: Leased
    ) -> dict[str, Any]:
        """Return the last frame's content; what did not run has exit code 0 and a message."""
        workload = self._workload(found, request.query["service"])
        if workload is None:
            return {"exit_code": 0, "message": "kube: no service for that lease"}
        if request.query["podIndex"] != "0":
            return {"exit_code": 0, "message": f"{_REMOTE}pod index out of range"}
        try:
            session = await self._venue.workloads.execute(
                workload, _argv(request), tty=request.query["tty"] == "1"
            )
        except (NoProgramError, OSError):
            words = "command could not be executed because it does not exist"
            return {"exit_code": 0, "message": _REMOTE + words}
        try:
            return {"exit_code": await _talk(socket, session, request.query["stdin"] == "1")}
        finally:
            await session.close()

    def _workload(self, found: Leased, name: str) -> str | None:
        manifest = self._venue.manifest_of(found.deployment, found.lease.provider) or []
        for service in leased_service.services(found.deployment, found.lease, manifest):
            if service["name"] == name:
                return leased_service.workload_id(found.deployment, found.lease, service)
        return None


async def _talk(socket: web.WebSocketResponse, session: Session, stdin: bool) -> int:
    """Carry frames until the command ends or the client goes; return the exit code."""
    listener = asyncio.create_task(_listen(socket, session, stdin))
    speaker = asyncio.create_task(_speak(socket, session))
    pings = asyncio.create_task(pinging(socket))
    try:
        await asyncio.wait({listener, speaker}, return_when=asyncio.FIRST_COMPLETED)
        if not speaker.done():
            await session.close()
        return await session.wait()
    finally:
        for task in (listener, speaker, pings):
            task.cancel()
        await asyncio.gather(listener, speaker, pings, return_exceptions=True)


async def _speak(socket: web.WebSocketResponse, session: Session) -> None:
    async for error, data in session.output():
        await socket.send_bytes(bytes([_STDERR if error else _STDOUT]) + data)


async def _listen(socket: web.WebSocketResponse, session: Session, stdin: bool) -> None:
    async for frame in socket:
        if frame.type is not WSMsgType.BINARY or not frame.data:
            continue
        code, data = frame.data[0], frame.data[1:]
        if code == _STDIN and stdin:
            await session.feed(data)
        elif code == _RESIZE and len(data) == _SIZE.size:
            session.resize(*_SIZE.unpack(data))


def _argv(request: web.Request) -> list[str]:
    """Return the command, which ends at its first empty argument."""
    argv: list[str] = []
    while part := request.query.get(f"cmd{len(argv)}"):
        argv.append(part)
    return argv
