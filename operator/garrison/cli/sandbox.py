"""``garrison sandbox``: look into a running local market, and break it on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.table import Table

from akash_sandbox.admin.bodies import Reason
from akash_sandbox.client import AdminLease, SandboxAdmin, SandboxAdminError

T = TypeVar("T")
REASONS: tuple[Reason, ...] = (
    "owner",
    "unstable",
    "decommission",
    "unspecified",
    "manifest_timeout",
    "insufficient_funds",
)


@click.group()
@click.option(
    "--url", envvar="GARRISON_SANDBOX_URL", required=True, help="The sandbox's admin address."
)
@click.option(
    "--token-file",
    envvar="GARRISON_SANDBOX_TOKEN_FILE",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="The file admin-token in the sandbox's data folder.",
)
@click.pass_context
def sandbox(ctx: click.Context, url: str, token_file: Path) -> None:
    """Look into a local market and switch faults on and off.

    PROVIDER is a name or an address; a LEASE is DSEQ or DSEQ/GSEQ/OSEQ.
    """
    ctx.obj = (url, token_file.read_text().strip())


def do(ctx: click.Context, work: Callable[[SandboxAdmin], Awaitable[T]]) -> T:
    """Return what the admin API gave; raises ClickException when it refuses."""
    url, token = ctx.obj

    async def session() -> T:
        async with SandboxAdmin(url, token) as admin:
            return await work(admin)

    try:
        return asyncio.run(session())
    except SandboxAdminError as error:
        raise click.ClickException(str(error)) from error


@sandbox.command()
@click.pass_context
def providers(ctx: click.Context) -> None:
    """List the providers and what is wrong with them."""
    table = Table("NAME", "REGION", "GPUS", "LEASES", "FAULTS", box=None)
    for each in do(ctx, lambda admin: admin.providers()):
        faults = [name for name in ("dead", "silent") if getattr(each, name)]
        faults += [f"slow x{each.slowdown:g}"] if each.slowdown != 1 else []
        faults += [f"{each.latency_ms} ms"] if each.latency_ms else []
        faults += each.hostile
        table.add_row(
            each.name, each.region, ",".join(each.gpus), str(each.leases), ",".join(faults) or "-"
        )
    Console().print(table)


@sandbox.command()
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@click.pass_context
def leases(ctx: click.Context, *, everything: bool) -> None:
    """List the leases that are paid now."""
    table = Table("LEASE", "PROVIDER", "STATE", "WORKLOADS", box=None)
    for each in do(ctx, lambda admin: admin.leases()):
        if everything or each.state == "active":
            table.add_row(_id(each), each.provider, each.state, _running(each))
    Console().print(table)


def _id(lease: AdminLease) -> str:
    return f"{lease.dseq}/{lease.gseq}/{lease.oseq}"


def _running(lease: AdminLease) -> str:
    return ", ".join("running" if each.running else each.message for each in lease.workloads)


@sandbox.command("clear")
@click.pass_context
def clear(ctx: click.Context) -> None:
    """Switch every fault off; killed providers live again."""
    do(ctx, lambda admin: admin.clear_faults())
    click.echo("no faults")


@sandbox.command("kill")
@click.argument("provider")
@click.pass_context
def kill(ctx: click.Context, provider: str) -> None:
    """Kill a provider: gateway, containers and ports die, its leases stay open and paid."""
    do(ctx, lambda admin: admin.kill_provider(provider))
    click.echo(f"{provider} is dead")


@sandbox.command("revive")
@click.argument("provider")
@click.pass_context
def revive(ctx: click.Context, provider: str) -> None:
    """Bring a killed provider back."""
    do(ctx, lambda admin: admin.revive_provider(provider))
    click.echo(f"{provider} is alive")


@sandbox.command("slow-network")
@click.argument("provider")
@click.option("--latency-ms", type=click.IntRange(0, 60_000), default=0)
@click.option(
    "--bytes-per-second", type=click.IntRange(0), default=0, help="0: as fast as it goes."
)
@click.pass_context
def slow_network(ctx: click.Context, provider: str, latency_ms: int, bytes_per_second: int) -> None:
    """Slow the way to a provider's containers; without options, undo it."""
    do(
        ctx,
        lambda admin: admin.slow_network(
            provider, latency_ms=latency_ms, bytes_per_second=bytes_per_second
        ),
    )
    click.echo(f"{provider}: {latency_ms} ms, {bytes_per_second or 'unlimited'} bytes/s")


@sandbox.command("wrong-hardware")
@click.argument("provider")
@click.option("--slowdown", type=click.FloatRange(1, 100), default=10.0, show_default=True)
@click.pass_context
def wrong_hardware(ctx: click.Context, provider: str, slowdown: float) -> None:
    """Let a provider serve slower than promised; 1 undoes it."""
    do(ctx, lambda admin: admin.wrong_hardware(provider, slowdown=slowdown))
    click.echo(f"{provider} is {slowdown:g} times slower than promised")


@sandbox.command("no-bids")
@click.argument("provider", default="")
@click.option("--end", is_flag=True, help="Bid again.")
@click.pass_context
def no_bids(ctx: click.Context, provider: str, *, end: bool) -> None:
    """Stop a provider from bidding, or everybody."""
    do(ctx, lambda admin: admin.no_bids(provider, silent=not end))
    click.echo(f"{provider or 'everybody'} {'bids again' if end else 'is silent'}")


@sandbox.command("errors")
@click.argument("scope")
@click.option(
    "--status", type=click.IntRange(0, 599), default=500, show_default=True, help="0 ends it."
)
@click.option("--count", type=click.IntRange(1), default=None, help="Default: until cleared.")
@click.option("--path", default="/", show_default=True, help="Only at this path and below.")
@click.pass_context
def errors(ctx: click.Context, scope: str, status: int, count: int | None, path: str) -> None:
    """Let SCOPE (console, a provider's gateway or a chain's node) answer with an error."""
    do(ctx, lambda admin: admin.errors(scope, status=status, count=count, path=path))
    click.echo(f"{scope} answers {status or 'normally'}")


@sandbox.command("hang")
@click.argument("scope")
@click.option(
    "--seconds", type=click.FloatRange(0, 3600), default=60.0, show_default=True, help="0 ends it."
)
@click.pass_context
def hang(ctx: click.Context, scope: str, seconds: float) -> None:
    """Let SCOPE (console, a provider's gateway or a chain's node) keep requests waiting."""
    do(ctx, lambda admin: admin.hang(scope, seconds=seconds))
    click.echo(f"{scope} keeps requests waiting for {seconds:g} s")


@sandbox.command("lost-answers")
@click.argument("scope")
@click.option("--count", type=click.IntRange(0), default=1, show_default=True, help="0 ends it.")
@click.pass_context
def lost_answers(ctx: click.Context, scope: str, count: int) -> None:
    """Let the next writes at SCOPE take effect, but lose their answers."""
    do(ctx, lambda admin: admin.drop_answers(scope, count=count))
    click.echo(f"{scope} loses the answers of {count} writes")


class LeaseType(click.ParamType[tuple[str, int, int]]):
    """DSEQ or DSEQ/GSEQ/OSEQ."""

    name = "LEASE"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int, int]:
        parts = value.split("/")
        if not all(part.isdigit() for part in parts) or len(parts) not in {1, 3}:
            self.fail(f"{value!r} is not a lease; write DSEQ or DSEQ/GSEQ/OSEQ", param, ctx)
        return (parts[0], 1, 1) if len(parts) == 1 else (parts[0], int(parts[1]), int(parts[2]))


@sandbox.command("close-lease")
@click.argument("lease", type=LeaseType())
@click.option("--reason", type=click.Choice(REASONS), default="unstable", show_default=True)
@click.pass_context
def close_lease(ctx: click.Context, lease: tuple[str, int, int], reason: Reason) -> None:
    """Let the provider close a lease."""
    do(ctx, lambda admin: admin.close_lease(*lease, reason=reason))
    click.echo(f"{lease[0]} is closed: {reason}")


@sandbox.command("reclaim")
@click.argument("lease", type=LeaseType())
@click.option("--seconds", type=click.IntRange(0), default=300, show_default=True)
@click.pass_context
def reclaim(ctx: click.Context, lease: tuple[str, int, int], seconds: int) -> None:
    """Let the provider announce that it takes its hardware back."""
    do(ctx, lambda admin: admin.reclaim(*lease, seconds=seconds))
    click.echo(f"{lease[0]} is reclaimed in {seconds} s")


@sandbox.command("restart")
@click.argument("lease", type=LeaseType())
@click.pass_context
def restart(ctx: click.Context, lease: tuple[str, int, int]) -> None:
    """Restart a lease's containers."""
    do(ctx, lambda admin: admin.restart_workload(*lease))
    click.echo(f"{lease[0]} restarts")
