"""``garrison connect``: a local port that follows a workload's Ready replicas."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass

import click
from aiohttp import web

from garrison.adapters.kube.client import KubeClient
from garrison.adapters.kube.client import connect as connect_kube
from garrison.adapters.net.screen import NetScreen
from garrison.api.account import parse_account
from garrison.api.meta import ACCOUNT, WORKLOAD
from garrison.app import explain
from garrison.cli.backends import Follower
from garrison.cli.passport import Passport
from garrison.cli.proxy import Proxy, Way, Ways
from garrison.cli.target import TargetType
from garrison.core.traffic import Backend
from garrison.errors import GarrisonError, NotFoundError
from garrison.ports.kube import Kube

DRAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The workload to reach."""

    namespace: str
    name: str


@click.command()
@click.argument("workload", type=TargetType())
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Local port; 0: any.",
)
@click.option("--kubeconfig", envvar="KUBECONFIG", default=None)
@click.option("--context", default=None)
@click.option(
    "--allow-private",
    is_flag=True,
    help="Dial private and loopback addresses. Default: what the AkashAccount allows, if you may read it.",
)
def connect(
    *,
    workload: str,
    namespace: str,
    port: int,
    kubeconfig: str | None,
    context: str | None,
    allow_private: bool,
) -> None:
    """Open a local HTTP port whose requests go to WORKLOAD's Ready replicas.

    Each request goes to the next Ready replica; one that breaks before the first byte of its
    answer goes to another. When a lease ends, the way to its provider is cut. Ctrl-C lets the requests
    in flight finish.

    The way to a replica is mutual TLS that ends inside its container: the client identity is read
    from the Secret that the workload's status.client names, so you need the right to read it. A workload
    with trust: Unverified is reached in the clear; send nothing secret there.
    """
    target = Target(namespace=namespace, name=workload)
    try:
        asyncio.run(_connect(target, port, kubeconfig, context, allow_private=allow_private))
    except GarrisonError as error:
        raise click.ClickException(explain(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"port {port}: {error.strerror}; choose another with -p"
        ) from error


async def _connect(
    target: Target, port: int, kubeconfig: str | None, context: str | None, *, allow_private: bool
) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        kube = await connect_kube(kubeconfig, context)
        stack.push_async_callback(kube.close)
        private = allow_private or await _account_allows_private(kube, target)
        follower = Follower(
            kube, target.namespace, target.name, lambda text: click.echo(text, err=True)
        )
        await follower.refresh()
        passport = Passport(kube, target.namespace, target.name)
        await passport.refresh()
        ways = _ways(NetScreen(), passport, allow_private=private)
        proxy = Proxy(lambda: follower.ready, ways)
        follower.also(lambda: _cut(proxy, follower))
        follower.also(passport.refresh)
        bound = await stack.enter_async_context(_serving(proxy, port))
        following = asyncio.create_task(follower.follow())
        stack.callback(following.cancel)
        click.echo(f"ready http://127.0.0.1:{bound}")
        await stop.wait()
        click.echo("letting the requests in flight finish", err=True)
        if not await proxy.drained(DRAIN_SECONDS):
            click.echo("some did not finish in time", err=True)


async def _cut(proxy: Proxy, follower: Follower) -> None:
    proxy.cut(follower.stands)


async def _account_allows_private(kube: KubeClient, target: Target) -> bool:
    raw = await kube.get(WORKLOAD, target.namespace, target.name)
    if raw is None:
        raise NotFoundError(
            f"InferenceWorkload {target.namespace}/{target.name} does not exist; see: kubectl get iw -A"
        )
    wanted = (raw["spec"].get("accountRef") or {}).get("name")
    with contextlib.suppress(GarrisonError):
        accounts = [parse_account(each) for each in await _accounts(kube)]
        return any(
            each.spec.allow_private_addresses
            for each in accounts
            if (each.meta.name == wanted if wanted else each.spec.default)
        )
    return False


async def _accounts(kube: Kube) -> list[dict[str, object]]:
    return list(await kube.list(ACCOUNT))


def _ways(screen: NetScreen, passport: Passport, *, allow_private: bool) -> Ways:
    async def way(backend: Backend) -> Way:
        found = await screen.destination(backend.host, backend.port, allow_private=allow_private)
        tls = await passport.context(backend.peer) if backend.peer is not None else None
        return Way(address=found.address, tls=tls)

    return way


@contextlib.asynccontextmanager
async def _serving(proxy: Proxy, port: int) -> AsyncIterator[int]:
    runner = web.AppRunner(
        proxy.application(),
        access_log=None,
        shutdown_timeout=1.0,
        auto_decompress=False,  # what is said to be packed has to be
        handler_cancellation=True,  # a replica must not go on for a client that has left
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
