"""What lies outside of a container: the test network's servers, and a count of what reached it."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from akash_sandbox.workloads.supervisor import Supervisor
from tests.sandbox.workloads.bench import get, until
from tests.sentinel.guard.netns import within

SERVER = "203.0.113.10"
OTHER = "192.0.2.77"
NOBODY = "8.8.8.8:443"
_IPV4, _LONGEST = 0x0800, 65535


@asynccontextmanager
async def serving(namespace: str, folder: Path) -> AsyncIterator[None]:
    """Run a web server at port 80 of every address of a namespace, as a test of egress would."""
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", namespace, sys.executable, "-m", "http.server"),
        *("80", "--bind", "::", "--directory", str(folder)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: _listens(namespace), lambda: "no web server")
        yield
    finally:
        process.terminate()
        await process.wait()


async def _listens(namespace: str) -> bool:
    return ":80 " in ip("netns", "exec", namespace, "ss", "-ltnH")


def ip(*arguments: str) -> str:
    """Return what ip(8) prints."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def sent(supervisor: Supervisor, name: str = "tenant-1") -> int:
    """Return the packets that a container has sent to the test network."""
    state = supervisor.state(name)
    assert state is not None
    shown = ip("-n", supervisor.egress_namespace, "-json", "-stats", "link", "show")
    links: list[dict[str, Any]] = json.loads(shown)
    (link,) = [each for each in links if each["ifname"] == state.egress_interface]
    return int(link["stats64"]["rx"]["packets"])


async def reaches(external: int, target: str) -> bool:
    """Return whether the container connects to a target."""
    try:
        await get(external, f"/dial?to={target}")
    except aiohttp.ClientResponseError:
        return False
    return True


@contextmanager
def witness(namespace: str) -> Iterator[socket.socket]:
    """Open a socket that gets a copy of every IPv4 packet that comes out of the containers."""
    kind = socket.htons(_IPV4)
    make = lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, kind)  # noqa: E731
    with within(namespace, make) as made:
        made.setblocking(False)
        yield made


def destinations(seen: socket.socket) -> list[str]:
    """Return where the packets went that the witness has seen since it was last asked."""
    found: list[str] = []
    while True:
        try:
            packet = seen.recv(_LONGEST)
        except BlockingIOError:
            return found
        ports = (packet[0] & 15) * 4
        port = int.from_bytes(packet[ports + 2 : ports + 4], "big")
        found.append(f"{socket.inet_ntoa(packet[16:20])}:{port}")
