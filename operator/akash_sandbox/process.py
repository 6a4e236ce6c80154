"""The sandbox as one process: every server, started in order and ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from akash_sandbox.admin.server import Admin
from akash_sandbox.chain.rest.server import node_app
from akash_sandbox.console.server import console_app
from akash_sandbox.gateway.fleet import Fleet
from akash_sandbox.seen import Seen
from akash_sandbox.settings import Settings
from akash_sandbox.simulated import SimulatedWorkloads
from akash_sandbox.tls import Authority
from akash_sandbox.venue import Venue
from akash_sandbox.workload import Workloads
from akash_sandbox.workloads.supervisor import Supervisor

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where a running sandbox answers."""

    console_url: str
    ca_file: Path
    admin_url: str
    api_key: str
    isolation: str
    chain_id: str
    chain_urls: tuple[str, ...]

    @property
    def ready_line(self) -> str:
        """The line that says that everything listens."""
        return f"ready {self.console_url} {self.ca_file} {self.admin_url} {self.api_key}"


@contextlib.asynccontextmanager
async def running(
    folder: Path, settings: Settings, port: int, clock: Callable[[], float] = time.time
) -> AsyncIterator[Running]:
    """Run the sandbox as long as the context is open; port 0 means the one of the last time.

    ``clock`` returns Unix seconds. Raises OSError when a port is taken.
    """
    async with contextlib.AsyncExitStack() as stack:
        venue = Venue(folder, settings, partial(_workloads, folder, settings), clock)
        stack.push_async_callback(venue.close)
        await venue.open()
        authority = Authority(folder / "tls")
        fleet = Fleet(venue, authority)
        stack.push_async_callback(fleet.close)
        await fleet.sync()
        console_port = port or venue.ports.of("console")
        host = venue.public_host
        console_url = f"https://{'localhost' if host == _HOST else host}:{console_port}"
        admin_port = venue.ports.of("admin")
        admin = Admin(venue, fleet, console_url).app()
        await _serve(stack, admin, (host, admin_port))
        context = authority.server_context("console", {"localhost", _HOST, host})
        await _serve(stack, console_app(venue), (host, console_port), context)
        for node in venue.nodes:
            tls = context if settings.chain.tls else None
            place = (host, venue.ports.of(f"chain/{node}"))
            await _serve(stack, node_app(venue, node), place, tls)
        for keep in (venue.keep_time, venue.keep_blocks):
            stack.push_async_callback(_cancel, asyncio.create_task(_keep(keep)))
        yield Running(
            console_url=console_url,
            ca_file=authority.ca_file.resolve(),
            admin_url=f"http://{host}:{admin_port}",
            api_key=venue.api_key,
            isolation=venue.workloads.isolation,
            chain_id=venue.chain.id,
            chain_urls=venue.chain_urls,
        )


def _workloads(folder: Path, settings: Settings, seen: Seen) -> Workloads:
    if settings.workloads.runtime == "synthetic":
        host = settings.public_host or _HOST
        return SimulatedWorkloads(folder, settings.workloads, host)
    return Supervisor(
        folder=folder / "workloads",
        registry=settings.registry,
        workloads=settings.workloads,
        egress=settings.egress,
        public_host=settings.public_host,
        seen=seen,
    )


async def _serve(
    stack: contextlib.AsyncExitStack,
    app: web.Application,
    address: tuple[str, int],
    context: ssl.SSLContext | None = None,
) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, *address, ssl_context=context, reuse_address=True).start()


async def _keep(forever: Callable[[], Awaitable[None]]) -> None:
    """Keep time; a failure there ends the process, for a market that stands still misleads."""
    try:
        await forever()
    except Exception:
        os.kill(os.getpid(), 15)
        raise


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
