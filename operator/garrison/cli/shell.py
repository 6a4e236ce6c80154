"""``garrison shell``: a command, or a shell, inside a replica."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass

import click

from garrison.cli import terminal
from garrison.cli.inside import Inside, looking
from garrison.cli.place import Place, completed, placed
from garrison.cli.target import TargetType
from garrison.ports.console import Session, Stream

END_OF_TRANSMISSION = b"\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to run, and how it is tied to this side."""

    argv: tuple[str, ...]
    replica: str | None
    reads: bool
    on_terminal: bool


@click.command()
@click.argument("workload", type=TargetType())
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--replica", default=None, help="Which one, by its AkashLease's name.")
@click.option("-i", "--stdin", "reads", is_flag=True, help="Pass standard input to COMMAND.")
@click.option("-t", "--tty", "on_terminal", is_flag=True, help="Run COMMAND on a terminal.")
@placed
def shell(
    *,
    place: Place,
    workload: str,
    command: tuple[str, ...],
    replica: str | None,
    reads: bool,
    on_terminal: bool,
) -> None:
    """Open a shell inside WORKLOAD, or run COMMAND there.

    \b
    garrison shell iw/chat -n prod
    garrison shell iw/chat -n prod -- cat /proc/meminfo

    The exit status is the command's. Through a sentinel it runs under the guard, as the workload
    does: it reaches what the EgressPolicy allows. A workload with trust: Unverified has none; then
    the way is the provider's gateway, which sees what you type, cannot be told that input has ended,
    lets COMMAND run on when you leave it, and takes the account's Secret to enter.
    """
    whole = not command
    asked = Asked(
        argv=command,
        replica=replica,
        reads=reads or whole or on_terminal,
        on_terminal=on_terminal or (whole and terminal.is_terminal()),
    )
    if asked.on_terminal and not terminal.is_terminal():
        raise click.UsageError("-t needs a terminal on standard input and output; leave it out")
    raise SystemExit(completed(_run(place, workload, asked)))


async def _run(place: Place, workload: str, asked: Asked) -> int:
    async with looking(place, workload) as inside:
        return await run(inside, asked)


async def run(inside: Inside, asked: Asked) -> int:
    """Run a command in one replica; returns its exit status. Raises errors of the tree."""
    found = await inside.replicas(asked.replica)
    ready = [each for each in found if each.status.phase == "Ready"] or list(found)
    chosen = ready[0]
    if len(found) > 1 and asked.replica is None:
        others = ", ".join(each.meta.name for each in found if each is not chosen)
        click.echo(f"in {chosen.meta.name}; --replica chooses another: {others}", err=True)
    console = await inside.console(chosen)
    size = terminal.size() if asked.on_terminal else None
    session = await console.shell(asked.argv, size, reads=asked.reads)
    try:
        return await _attached(session, asked)
    finally:
        await session.close()


async def _attached(session: Session, asked: Asked) -> int:
    with contextlib.ExitStack() as stack:
        if asked.on_terminal:
            stack.enter_context(terminal.raw())
            stack.enter_context(terminal.resized(_tells_size(session)))
        feeding = asyncio.create_task(_feed(session, asked)) if asked.reads else None
        try:
            async for stream, data in session.output():
                _write(stream, data)
        finally:
            if feeding is not None:
                feeding.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await feeding
    return session.exit_code


def _write(stream: Stream, data: bytes) -> None:
    sink = sys.stdout.buffer if stream is Stream.OUT else sys.stderr.buffer
    sink.write(data)
    sink.flush()


async def _feed(session: Session, asked: Asked) -> None:
    async for data in terminal.typed():
        await session.send(data)
    if asked.on_terminal:
        await session.send(END_OF_TRANSMISSION)
    elif not await session.end_input():
        click.echo("the provider's gateway cannot be told that input ended; Ctrl-C ends", err=True)


def _tells_size(session: Session) -> Callable[[], None]:
    sending: set[asyncio.Task[None]] = set()

    def tell() -> None:
        task = asyncio.ensure_future(session.resize(terminal.size()))
        sending.add(task)
        task.add_done_callback(sending.discard)

    return tell
