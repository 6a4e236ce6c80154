"""A container with a sentinel, real or in memory, as the contract's tests see it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from garrison.adapters.memory.bootstraps import MemoryBootstraps
from garrison.adapters.memory.clock import LoopClock
from garrison.adapters.memory.gateway import MemoryGateway
from garrison.adapters.memory.market import MemoryMarket
from garrison.adapters.memory.provider import MemoryProvider
from garrison.adapters.memory.registry import PROGRAM
from garrison.adapters.memory.sentinel import MemorySentinel
from garrison.adapters.sentinel.bootstrap import KubeBootstraps
from garrison.adapters.sentinel.bundle import bundle
from garrison.adapters.sentinel.client import SentinelClient
from garrison.api.egress import DENY_ALL
from garrison.api.money import MicroUSD
from garrison.ports.identity import LeaseIdentity
from garrison.ports.market import LeaseTarget
from garrison.ports.probe import Destination
from garrison.ports.sentinel import Bootstraps, Denied, Door, Launch, Sentinel, SentinelPorts
from tests.contract.market.stall import order
from tests.ports import free_port
from tests.unit.adapters.sentinel.trust import DOMAIN, LEASE, SYSTEM, Trust, trust

SECRET = "bootstrap-1"
SERVE = """
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'requests_total{path="%s"} 1\\n' % self.path.encode())

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

DIAL = """
import socket, sys, time

with socket.socket() as dialled:
    dialled.settimeout(0.1)
    dialled.connect_ex((sys.argv[1], int(sys.argv[2])))
time.sleep(600)
"""

CLING = """
import os, socket, sys, time

ours, theirs = socket.socketpair()
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as one:
    socket.send_fds(ours, [b"x"], [one.fileno()])
held = sys.argv[3] + "/held"
open(held, "w").close()
while os.path.exists(held):
    time.sleep(0.02)
ours.close()
theirs.close()
time.sleep(600)
"""


class Post(Protocol):
    """One lease's container, and what speaks to it."""

    sentinel: Sentinel
    bootstraps: Bootstraps
    lease: LeaseIdentity

    def now(self) -> datetime:
        """Return the time by which certificates are dated."""

    async def door(self) -> Door:
        """Return the way to the control port, before anything is enrolled."""

    def launch(self) -> Launch:
        """Return a workload that this container can run."""

    def seeks(self, address: str, port: int) -> Launch:
        """Return one that dials an address."""

    def clings(self, address: str, port: int) -> Launch:
        """Return one that connects, and holds the connection where nothing can close it."""

    async def clinging(self) -> None:
        """Wait until it does."""

    def let_go(self) -> None:
        """Have it close the connection."""

    async def restart(self) -> None:
        """Restart the container: it comes back sealed."""

    async def again(self) -> None:
        """Wait until the container has ended by itself, and start it as its provider does."""

    async def copy(self) -> None:
        """Let another container answer beside this one, with the same bootstrap."""

    def swap(self, path: str) -> None:
        """Overwrite a file in the container."""

    async def stop(self) -> None:
        """End the container: nothing answers any more."""


class Pipe:
    """Forwards new connections to its targets in turn; they can be changed, as a provider can."""

    def __init__(self) -> None:
        self.targets: tuple[int, ...] = ()
        self.port = 0
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start to listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        target = self.targets[self._turn % len(self.targets)]
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(_pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


class RealPost:
    """The zipapp as processes on loopback, started by the environment that a provider would get."""

    def __init__(self, found: Trust | None = None) -> None:
        self._trust = found or trust()
        self.lease = LEASE
        bootstraps = KubeBootstraps(
            kube=self._trust.kube,
            clock=self._trust.clock,
            namespace=SYSTEM,
            domain=DOMAIN,
            operator=self._trust.operator,
            bundle=bundle,
        )
        self._client = SentinelClient(
            pins=bootstraps.pins,
            operator=self._trust.operator,
            leases=self._trust.leases,
            clock=self._trust.clock,
            domain=DOMAIN,
        )
        self.sentinel: Sentinel = self._client
        self.bootstraps: Bootstraps = bootstraps
        self.identities = self._trust.identities
        self._pipe = Pipe()
        self._processes: list[asyncio.subprocess.Process] = []
        self.ports = SentinelPorts(data=free_port(), control=free_port())
        self._serving = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="post-")
        self._word = self._folder.name

    async def open(self) -> None:
        """Make the bootstrap, and start the container."""
        await self._pipe.open()
        await self.bootstraps.prepare(SECRET, LEASE, self.ports, DENY_ALL)
        await self._started(self.ports)

    async def _started(self, ports: SentinelPorts) -> None:
        injection = await self.bootstraps.injection(SECRET)
        assert injection is not None
        env = dict(injection.env)
        if ports != self.ports:
            text = base64.b64decode(env["GARRISON_BOOTSTRAP"]).decode()
            text = text.replace(str(self.ports.data), str(ports.data))
            text = text.replace(str(self.ports.control), str(ports.control))
            env["GARRISON_BOOTSTRAP"] = base64.b64encode(text.encode()).decode()
        self._processes.append(
            await asyncio.create_subprocess_exec(
                *(sys.executable, *injection.command[1:]),
                env={"PATH": os.environ["PATH"], **env},
            )
        )
        self._pipe.targets = (ports.control,)
        await _listening(ports.control)

    def now(self) -> datetime:
        return self._trust.clock.now()

    async def door(self) -> Door:
        fingerprint = await self.bootstraps.fingerprint(SECRET)
        assert fingerprint is not None
        return Door(
            lease=LEASE,
            destination=Destination(host="p.example", address="127.0.0.1", port=self._pipe.port),
            bootstrap=fingerprint,
            digest=self.bootstraps.digest,
        )

    def launch(self) -> Launch:
        return Launch(argv=(sys.executable, "-c", SERVE, str(self._serving)), port=self._serving)

    def seeks(self, address: str, port: int) -> Launch:
        argv = (sys.executable, "-c", DIAL, address, str(port))
        return Launch(argv=argv, port=self._serving)

    def clings(self, address: str, port: int) -> Launch:
        argv = (sys.executable, "-c", CLING, address, str(port), self._word)
        return Launch(argv=argv, port=self._serving)

    def _is_clinging(self) -> bool:
        return Path(f"{self._word}/held").exists()

    async def clinging(self) -> None:
        for _ in range(1000):
            if self._is_clinging():
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the workload did not connect")

    def let_go(self) -> None:
        Path(f"{self._word}/held").unlink()

    async def restart(self) -> None:
        await self._ended()
        await self._started(self.ports)

    async def again(self) -> None:
        await self._processes.pop().wait()
        await self._started(self.ports)

    async def copy(self) -> None:
        await self._started(SentinelPorts(data=free_port(), control=free_port()))

    async def alternate(self, turns: int = 1) -> None:
        """Let a copy with the same bootstrap answer one connection after every ``turns`` others."""
        first = self._pipe.targets
        await self.copy()
        self._pipe.targets = (*(first * turns), *self._pipe.targets)

    def swap(self, path: str) -> None:
        Path(path).write_text("swapped")

    async def stop(self) -> None:
        await self._ended()

    async def _ended(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            await process.wait()
        self._processes.clear()

    async def close(self) -> None:
        """End everything."""
        await self._client.close()
        await self._ended()
        await self._pipe.close()
        self._folder.cleanup()


async def _listening(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise AssertionError(f"the sentinel does not listen on {port}")


class MemoryPost:
    """The same in memory."""

    def __init__(self) -> None:
        self.market = MemoryMarket(
            clock=LoopClock(),
            providers=[
                MemoryProvider(
                    id="p1",
                    host="p1.example",
                    region="eu",
                    price_per_hour=MicroUSD(1_000_000),
                    bid_delay=timedelta(),
                    lease_delay=timedelta(),
                    start_delay=timedelta(),
                )
            ],
        )
        self.gateway = MemoryGateway(clock=LoopClock(), market=self.market)
        self._memory = MemorySentinel(market=self.market, gateway=self.gateway)
        self.sentinel: Sentinel = self._memory
        self.bootstraps: Bootstraps = MemoryBootstraps(self.market)
        self.lease = LEASE
        self._deployment = ""

    async def open(self) -> None:
        """Lease a container with an injected sentinel."""
        ports = SentinelPorts(data=18443, control=18444)
        await self.bootstraps.prepare(SECRET, LEASE, ports, DENY_ALL)
        injection = await self.bootstraps.injection(SECRET)
        assert injection is not None
        wanted = order(gpu=None, command=injection.command, env=injection.env, ports=(18443, 18444))
        made = await self.market.create(wanted, None)
        (bid,) = await self.market.bids(made.id)
        await self.market.accept(bid, wanted)
        target = LeaseTarget(
            deployment=made.id, gseq=1, oseq=1, provider="p1", host_uri="https://p1.example"
        )
        await self.gateway.send_manifest(target, wanted)
        self._deployment = made.id

    def now(self) -> datetime:
        return self.market.now()

    async def door(self) -> Door:
        record = self.market.deployments[self._deployment]
        assert record.lease is not None
        external = {inner: outer for outer, inner in record.lease.forwarded().items()}
        return Door(
            lease=LEASE,
            destination=Destination(host="p1.example", address="198.18.0.1", port=external[18444]),
            bootstrap=await self.bootstraps.fingerprint(SECRET) or "",
            digest=self.bootstraps.digest,
        )

    def launch(self) -> Launch:
        return Launch(argv=("serve",), port=8000)

    def seeks(self, address: str, port: int) -> Launch:
        self._memory.sought["p1"] = (
            Denied(
                destination=address,
                address=address,
                port=port,
                protocol="tcp",
                process="/bin/serve",
                count=1,
                last_seen=self.now(),
                mining="pool-port",
            ),
        )
        return self.launch()

    def clings(self, address: str, port: int) -> Launch:
        self._memory.clinging["p1"] = ((address, port),)
        return self.launch()

    async def clinging(self) -> None:
        """It does at once."""

    def let_go(self) -> None:
        self._memory.clinging.clear()

    async def restart(self) -> None:
        self._memory.restart(self._deployment)

    async def again(self) -> None:
        """In memory the provider has done so already."""

    async def copy(self) -> None:
        self._memory.cloning.add("p1")

    def swap(self, path: str) -> None:
        assert path == PROGRAM
        self._memory.swapped.add(self._deployment)

    async def stop(self) -> None:
        self.market.kill("p1")

    async def close(self) -> None:
        """Nothing to end."""


async def enrolled(post: Post, door: Door) -> Door:
    """Enrol what answers; returns the door that expects it from now on."""
    done = await post.sentinel.enrol(door)
    return replace(door, instance=done.instance, key=done.key)


@contextlib.asynccontextmanager
async def opened(kind: type[RealPost | MemoryPost]) -> AsyncIterator[RealPost | MemoryPost]:
    """A container of one kind."""
    post = kind()
    try:
        await post.open()
        yield post
    finally:
        await post.close()
