"""A lease's output and events as WebSocket frames."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, web

from akash_sandbox import leased_service
from akash_sandbox.gateway.access import Access, Leased
from akash_sandbox.gateway.answers import RefusedError, text
from akash_sandbox.venue import Venue

Json = dict[str, Any]

INTERNAL = 4000
NOT_FOUND = 4001
_PING_SECONDS = 10.0
_POLL_SECONDS = 0.1
_CONTROLLER = "local-market"
_STARTED = ("Scheduled", "Pulling", "Pulled", "Created", "Started")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pod:
    name: str
    workload: str
    log: Path


class Streams:
    """The handlers of logs and kubeevents."""

    def __init__(self, venue: Venue, access: Access) -> None:
        self._venue = venue
        self._access = access

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """Send lines as ``{"name": pod, "message": line}``; ``tail`` -1 is everything."""
        found = self._access.running(request, "logs")
        follow, tail = request.query.get("follow") == "true", _tail(request)
        socket = await opened(request)
        if found is None:
            await socket.close(code=NOT_FOUND)
            return socket
        pods = self._pods(found, request.query.get("service", ""))
        if not pods:
            await socket.close(code=INTERNAL, message=b"no running pods")
            return socket
        speaking = asyncio.gather(*(_send_log(socket, pod, follow, tail) for pod in pods))
        gone = asyncio.ensure_future(_drained(socket))
        ending: list[asyncio.Future[Any]] = [speaking, gone]
        try:
            await asyncio.wait(ending, return_when=asyncio.FIRST_COMPLETED)
        finally:
            speaking.cancel()
            gone.cancel()
            await asyncio.gather(speaking, gone, return_exceptions=True)
        return dropped(request, socket)

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Send the events of the lease's pods, then close normally unless they are followed."""
        found = self._access.running(request, "events")
        follow = request.query.get("follow") == "true"
        socket = await opened(request)
        if found is None:
            await socket.close(code=NOT_FOUND)
            return socket
        for pod in self._pods(found, ""):
            for event in self._events(pod):
                await socket.send_str(_line(event))
        if follow:
            await _drained(socket)
        await socket.close(code=WSCloseCode.OK)
        return socket

    def _pods(self, found: Leased, services: str) -> list[_Pod]:
        """Return the running pods of the services named, all when none is."""
        wanted = [name for name in services.split(",") if name]
        manifest = self._venue.manifest_of(found.deployment, found.lease.provider) or []
        pods = []
        for service in leased_service.services(found.deployment, found.lease, manifest):
            id_ = leased_service.workload_id(found.deployment, found.lease, service)
            log = self._venue.workloads.log(id_)
            if log is not None and (not wanted or service["name"] in wanted):
                pods.append(_Pod(name=f"{service['name']}-0", workload=id_, log=log))
        return pods

    def _events(self, pod: _Pod) -> list[Json]:
        state = self._venue.workloads.state(pod.workload)
        if state is None:
            return []
        reasons: Sequence[str] = _STARTED if state.running else _STARTED[:2]
        events = [_event("Normal", each, f"{each} container", pod.name) for each in reasons]
        if not state.running and state.restarts:
            events.append(_event("Warning", "BackOff", state.message, pod.name))
        return events


async def opened(request: web.Request, *, drops: bool = True) -> web.WebSocketResponse:
    """Return the accepted WebSocket; ``drops``: it is pinged every 10 s and dropped 5 s after."""
    heartbeat = _PING_SECONDS if drops else None
    socket = web.WebSocketResponse(heartbeat=heartbeat, compress=False)
    await socket.prepare(request)
    return socket


async def pinging(socket: web.WebSocketResponse) -> None:
    """Ping every 10 s, whether the client answers or not, until the connection ends."""
    with suppress(ConnectionError):
        while not socket.closed:
            await asyncio.sleep(_PING_SECONDS)
            await socket.ping()


def dropped(request: web.Request, socket: web.WebSocketResponse) -> web.WebSocketResponse:
    """End the connection without a close frame, as a real gateway does."""
    if request.transport is not None:
        request.transport.close()
    return socket


async def _drained(socket: web.WebSocketResponse) -> None:
    """Read until the client has gone; what it says is ignored."""
    async for _ in socket:
        pass


async def _send_log(socket: web.WebSocketResponse, pod: _Pod, follow: bool, tail: int) -> None:
    async for line in _lines(pod.log, follow, tail):
        await socket.send_str(_line({"name": pod.name, "message": line}))


async def _lines(log: Path, follow: bool, tail: int) -> AsyncIterator[str]:
    """Yield the last ``tail`` lines of a file (-1: all), and those that follow."""
    text_, offset = await asyncio.to_thread(_read, log, 0)
    lines = text_.splitlines()
    for line in lines if tail < 0 else lines[len(lines) - tail :] if tail else []:
        yield line
    while follow:
        await asyncio.sleep(_POLL_SECONDS)
        more, offset = await asyncio.to_thread(_read, log, offset)
        for line in more.splitlines():
            yield line


def _read(log: Path, offset: int) -> tuple[str, int]:
    """Return the whole lines from ``offset`` on, and where they end."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return "", offset
    whole = data[: data.rfind(b"\n") + 1]
    return whole.decode(errors="replace"), offset + len(whole)


def _tail(request: web.Request) -> int:
    """Return the parameter ``tail``; raises RefusedError (400)."""
    try:
        tail = int(request.query.get("tail", "-1"))
    except ValueError:
        tail = -2
    if tail < -1:
        raise RefusedError(text(400, 'parameter "tail" contains invalid value'))
    return tail


def _event(kind: str, reason: str, note: str, pod: str) -> Json:
    return {
        "type": kind,
        "reportingController": _CONTROLLER,
        "reason": reason,
        "note": note,
        "object": {"kind": "Pod", "namespace": "lease", "name": pod},
    }


def _line(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"
