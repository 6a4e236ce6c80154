"""A network namespace with addresses of its own, reached from this machine and from nowhere else."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from devenv.command import output_of
from devenv.errors import DevenvError

_SECONDS = 30
_TRIES = 20
_PREFIX = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """``addresses`` are those of the namespace called ``name``, for servers inside it."""

    name: str
    addresses: tuple[IPv4Address, ...]

    def inside(self, *argv: str) -> list[str]:
        """Return the command line that runs a program in the namespace."""
        return ["ip", "netns", "exec", self.name, *argv]


def missing_for_networks() -> str:
    """Return why no network namespace can be made here, "" when nothing is known to be missing."""
    if os.geteuid() != 0:
        return "making a network namespace needs root"
    if shutil.which("ip") is None:
        return "making a network namespace needs ip(8); install iproute2"
    return ""


@asynccontextmanager
async def open_network(count: int) -> AsyncIterator[Network]:
    """Make a namespace with ``count`` private addresses and a cable to it; remove both at the end.

    Raises DevenvError when this machine does not allow it.
    """
    if why := missing_for_networks():
        raise DevenvError(why)
    mark = secrets.token_hex(3)
    name, here, there = f"garrison-{mark}", f"gn{mark}a", f"gn{mark}b"
    block = await _free_block()
    hosts = block.hosts()
    ours, addresses = next(hosts), tuple(next(hosts) for _ in range(count))
    await _ip("netns", "add", name)
    try:
        await _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        await _ip("address", "add", f"{ours}/{_PREFIX}", "dev", here)
        await _ip("link", "set", here, "up")
        for device in ("lo", there):
            await _ip("-n", name, "link", "set", device, "up")
        for address in addresses:
            await _ip("-n", name, "address", "add", f"{address}/{_PREFIX}", "dev", there)
        yield Network(name=name, addresses=addresses)
    finally:
        # The cable goes with the namespace that has its other end.
        await asyncio.shield(_ip("netns", "delete", name))


async def _free_block() -> IPv4Network:
    """Return a block of 10.0.0.0/8 to which this machine has no route of its own."""
    routes = await _ip("-4", "route", "show", "table", "all")
    words = {word for line in routes.splitlines() for word in line.split()[:2]}
    taken = [network for word in words if (network := _network(word)) is not None]
    for _ in range(_TRIES):
        block = IPv4Network((f"10.{secrets.randbelow(256)}.{secrets.randbelow(256)}.0", _PREFIX))
        if not any(block.overlaps(each) for each in taken):
            return block
    raise DevenvError("every block of 10.0.0.0/8 that was tried is in use on this machine")


def _network(word: str) -> IPv4Network | None:
    try:
        return IPv4Network(word, strict=False)
    except ValueError:
        return None


async def _ip(*arguments: str) -> str:
    return await output_of(("ip", *arguments), limit_seconds=_SECONDS)
