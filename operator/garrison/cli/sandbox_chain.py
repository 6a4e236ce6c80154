"""``garrison sandbox chain``: look at the local market's chain, and break it on purpose."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from akash_sandbox.admin.bodies import Denom
from akash_sandbox.client import NodeChange, SandboxAdmin
from akash_sandbox.faults import Garbled, NodeFault
from garrison.cli.sandbox import do


@click.group()
def chain() -> None:
    """Look at the chain and its nodes, and switch their faults on and off.

    NODE is a name such as node-1; errors, hang and lost-answers of the group above take one as well.
    """


@chain.command("show")
@click.pass_context
def show(ctx: click.Context) -> None:
    """Show the chain, its nodes and what is wrong with them."""
    found = do(ctx, lambda admin: admin.chain())
    halted = ", halted" if found.halted else ""
    click.echo(f"{found.id}: height {found.height}, {found.waiting} waiting{halted}")
    table = Table("NODE", "ADDRESS", "FAULTS", box=None)
    for node in found.nodes:
        table.add_row(node.name, node.url, _faults(node.fault) or "-")
    Console().print(table)


@chain.command("halt")
@click.option("--end", is_flag=True, help="Make blocks again.")
@click.pass_context
def halt(ctx: click.Context, *, end: bool) -> None:
    """Let the chain make no more blocks."""
    do(ctx, lambda admin: admin.halt_chain(halted=not end))
    click.echo("the chain makes blocks again" if end else "the chain is halted")


@chain.command("lag")
@click.argument("node")
@click.option(
    "--blocks", type=click.IntRange(0, 1000), default=20, show_default=True, help="0 ends it."
)
@click.pass_context
def lag(ctx: click.Context, node: str, blocks: int) -> None:
    """Let a node fall behind the chain."""
    _change(ctx, node, NodeChange(lag_blocks=blocks))
    click.echo(f"{node} is {blocks} blocks behind")


@chain.command("full-mempool")
@click.argument("node")
@click.option("--end", is_flag=True, help="Take transactions again.")
@click.pass_context
def full_mempool(ctx: click.Context, node: str, *, end: bool) -> None:
    """Let a node refuse every transaction because its mempool is full."""
    _change(ctx, node, NodeChange(mempool_full=not end))
    click.echo(f"{node} {'takes transactions again' if end else 'has a full mempool'}")


@chain.command("garble")
@click.argument("node")
@click.option("--as", "kind", type=click.Choice(["html", "truncated"]), default="html")
@click.option("--count", type=click.IntRange(1), default=None, help="Default: until cleared.")
@click.option("--end", is_flag=True, help="Answer soundly again.")
@click.pass_context
def garble(ctx: click.Context, node: str, kind: Garbled, count: int | None, *, end: bool) -> None:
    """Let a node answer with an HTML page, or with half an answer."""
    change = NodeChange(garbled="") if end else NodeChange(garbled=kind, garbled_count=count)
    _change(ctx, node, change)
    click.echo(f"{node} answers {'soundly again' if end else kind}")


@chain.command("forget")
@click.argument("node")
@click.option("--count", type=click.IntRange(0), default=3, show_default=True, help="0 ends it.")
@click.pass_context
def forget(ctx: click.Context, node: str, count: int) -> None:
    """Let a node deny transactions that it had in a block, as behind a load balancer."""
    _change(ctx, node, NodeChange(forgets=count))
    click.echo(f"{node} denies {count} transactions")


@chain.command("gas")
@click.option("--percent", type=click.IntRange(1, 10_000), default=300, show_default=True)
@click.pass_context
def gas(ctx: click.Context, percent: int) -> None:
    """Let transactions use more gas in a block than simulated; 100 undoes it."""
    do(ctx, lambda admin: admin.use_gas(percent=percent))
    click.echo(f"transactions use {percent} % of the gas that was simulated")


@chain.command("balance")
@click.argument("address")
@click.argument("denom", type=click.Choice(["uakt", "uact"]))
@click.argument("amount", type=click.IntRange(0))
@click.pass_context
def balance(ctx: click.Context, address: str, denom: Denom, amount: int) -> None:
    """Give an account so much, whatever it had."""
    do(ctx, lambda admin: admin.set_balance(address, denom, amount))
    click.echo(f"{address} has {amount}{denom}")


def _change(ctx: click.Context, node: str, change: NodeChange) -> None:
    async def changed(admin: SandboxAdmin) -> None:
        await admin.change_node(node, change)

    do(ctx, changed)


def _faults(fault: NodeFault) -> str:
    told = ["full mempool"] if fault.mempool_full else []
    told += [f"{fault.lag_blocks} blocks behind"] if fault.lag_blocks else []
    told += [fault.garbled] if fault.garbled else []
    told += [f"denies {fault.forgets_left} transactions"] if fault.forgets_left else []
    return ", ".join(told)
