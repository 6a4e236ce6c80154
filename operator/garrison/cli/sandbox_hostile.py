"""``garrison sandbox``: let a provider of the local market turn against its tenants."""

from __future__ import annotations

from collections.abc import Mapping

import click
from rich.console import Console
from rich.table import Table

from akash_sandbox.client import HostilityChange, SandboxAdmin
from garrison.cli.sandbox import LeaseType, do

BEHAVIOURS: Mapping[str, HostilityChange] = {
    "read-env": HostilityChange(reads=True),
    "replay-beside": HostilityChange(replay="beside"),
    "replay-instead": HostilityChange(replay="instead"),
    "self-made-certificate": HostilityChange(certificate="self-made"),
    "other-lease-certificate": HostilityChange(certificate="other-lease"),
    "strip-tls": HostilityChange(strips_tls=True),
    "stale-answers": HostilityChange(stale_answers=True),
    "cut-control": HostilityChange(cuts_control=True),
}
FRIENDLY = HostilityChange(
    reads=False,
    replay="",
    certificate="",
    strips_tls=False,
    stale_answers=False,
    delay_seconds=0,
    cuts_control=False,
)


@click.command("hostile")
@click.argument("provider")
@click.argument("behaviour", type=click.Choice([*BEHAVIOURS, "delay"]), required=False)
@click.option(
    "--seconds", type=click.FloatRange(0, 3600), default=5.0, show_default=True, help="Of delay."
)
@click.option("--end", is_flag=True, help="Behave well again, in everything.")
@click.pass_context
def hostile(
    ctx: click.Context, provider: str, behaviour: str | None, seconds: float, *, end: bool
) -> None:
    """Let a provider turn against its tenants; behaviours add up until --end or clear.

    \b
    read-env                 keep all that it receives (see: garrison sandbox seen)
    replay-beside            start a second container from the same order
    replay-instead           kill the container, run the copy in its place
    self-made-certificate    answer TLS itself, with the lease's names
    other-lease-certificate  answer TLS itself, as another tenant
    strip-tls                answer plain HTTP at the data port
    stale-answers            answer the control port with recorded bytes
    delay                    hold every connection up
    cut-control              refuse the control port
    """
    if end == (behaviour is not None):
        raise click.UsageError("give one behaviour, or --end")
    change = FRIENDLY if end else _change(behaviour or "", seconds)
    do(ctx, lambda admin: admin.be_hostile(provider, change))
    click.echo(f"{provider} {'behaves well again' if end else f'turns hostile: {behaviour}'}")


def _change(behaviour: str, seconds: float) -> HostilityChange:
    return BEHAVIOURS.get(behaviour) or HostilityChange(delay_seconds=seconds)


@click.command("seen")
@click.argument("scope")
@click.pass_context
def seen(ctx: click.Context, scope: str) -> None:
    """List the files of what SCOPE (a provider, console or a chain's node) received since read-env."""
    table = Table("BYTES", "FILE", box=None)
    for each in do(ctx, lambda admin: admin.seen(scope)):
        table.add_row(str(each.size), each.path)
    Console(soft_wrap=True).print(table)


@click.command("swap-file")
@click.argument("lease", type=LeaseType())
@click.argument("path")
@click.option("--content", default="swapped\n", show_default=True)
@click.pass_context
def swap_file(ctx: click.Context, lease: tuple[str, int, int], path: str, content: str) -> None:
    """Overwrite a file inside a lease's running containers, as root of the machine can."""

    async def swapped(admin: SandboxAdmin) -> None:
        await admin.swap_file(*lease, path=path, content=content)

    do(ctx, swapped)
    click.echo(f"{path} of {lease[0]} is another file now")
