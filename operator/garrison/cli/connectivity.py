"""``garrison connectivity``: what is reached from inside each replica, name by name."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from garrison.cli.inside import Inside, looking
from garrison.cli.place import Place, completed, placed
from garrison.cli.table import print_table
from garrison.cli.target import TargetType
from garrison.cli.terminal import harmless
from garrison.errors import GarrisonError
from garrison.ports.console import Reach

DEFAULT_PORT = 443


class DestinationType(click.ParamType[tuple[str, int]]):
    """``host``, ``host:port`` or ``[address]:port``."""

    name = "HOST[:PORT]"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if value.startswith("["):
            host, _, port = value[1:].partition("]")
            port = port.removeprefix(":")
        else:
            host, _, port = value.partition(":") if value.count(":") < 2 else (value, "", "")
        number = int(port) if port.isascii() and port.isdigit() else 0 if port else DEFAULT_PORT
        if not host or not 0 < number < 1 << 16:
            self.fail(f"{value!r} is no destination; write host:port", param, ctx)
        return host, number


@click.command()
@click.argument("workload", type=TargetType())
@click.argument("destinations", nargs=-1, type=DestinationType())
@click.option("--replica", default=None, help="Only from this one, by its AkashLease's name.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table")
@placed
def connectivity(
    *,
    place: Place,
    workload: str,
    destinations: tuple[tuple[str, int], ...],
    replica: str | None,
    output: str,
) -> None:
    """Dial DESTINATIONS from inside each replica of WORKLOAD, under its guard.

    \b
    garrison connectivity iw/chat -n prod
    garrison connectivity iw/chat -n prod huggingface.co:443 10.0.0.1:5432

    Without destinations, everything that the EgressPolicy allows by a plain name or one address.
    The exit status is 1 when something that is allowed is not reached, or a replica cannot be asked.
    """
    raise SystemExit(completed(_connectivity(place, workload, destinations, replica, output)))


async def _connectivity(
    place: Place,
    workload: str,
    destinations: tuple[tuple[str, int], ...],
    replica: str | None,
    output: str,
) -> int:
    async with looking(place, workload) as inside:
        return await report(inside, destinations, replica, output)


async def report(
    inside: Inside, destinations: tuple[tuple[str, int], ...], replica: str | None, output: str
) -> int:
    """Ask every replica and print what each reaches; returns the exit status."""
    results: list[tuple[str, Reach]] = []
    failures: list[GarrisonError] = []
    for lease in await inside.replicas(replica):
        try:
            reached = await (await inside.sentinel(lease)).connectivity(destinations)
            results += [(lease.meta.name, each) for each in reached]
        except GarrisonError as error:
            failures.append(error)
            click.echo(f"{lease.meta.name}: {error}", err=True)
    if failures and not results:
        raise failures[0]
    _print(results, output)
    unreached = [each for _, each in results if each.allowed and not each.reachable]
    return 1 if unreached or failures else 0


def _print(results: list[tuple[str, Reach]], output: str) -> None:
    if output == "json":
        rows = [{"replica": name, **asdict(each)} for name, each in results]
        click.echo(json.dumps(rows, indent=2))
    elif not results:
        click.echo("the list is empty: nothing may be reached, and nothing was dialled")
    else:
        titles = ("REPLICA", "DESTINATION", "RESOLVES", "ALLOWED", "REACHABLE", "MS", "")
        print_table(titles, [_row(name, each) for name, each in results])


def _row(name: str, each: Reach) -> tuple[str, ...]:
    host = f"[{each.host}]" if ":" in each.host else each.host
    resolved = ", ".join(each.resolved[:2]) + (", ..." if len(each.resolved) > 2 else "")
    return (
        name,
        harmless(f"{host}:{each.port}"),
        harmless(resolved or "no"),
        _yes(each.allowed),
        _yes(each.reachable),
        str(each.milliseconds),
        harmless(each.error),
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"
