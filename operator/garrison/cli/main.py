"""``garrison``, also ``kubectl garrison``."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import click

from garrison.adapters.system import forbid_core_dumps
from garrison.cli.adopt import adopt
from garrison.cli.connect import connect
from garrison.cli.connectivity import connectivity
from garrison.cli.convert import convert
from garrison.cli.logs import events, logs
from garrison.cli.market import account, providers
from garrison.cli.run import run
from garrison.cli.sandbox import sandbox
from garrison.cli.sandbox_chain import chain
from garrison.cli.sandbox_hostile import hostile, seen, swap_file
from garrison.cli.sdl import sdl
from garrison.cli.shell import shell


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Garrison holds ground you do not own.

    It serves AI models from GPUs rented on the Akash market, under Kubernetes custom resources.

    \b
    In a cluster:        garrison run
    On your laptop:      garrison connect iw/chat -n prod
    Inside a replica:    garrison connectivity iw/chat -n prod
    Against a sandbox:   garrison sandbox providers
    With an SDL:         garrison convert deploy.yaml
    What runs already:   garrison adopt 1763912345678 -n prod --dry-run
    """


@main.command()
def version() -> None:
    """Print the version."""
    try:
        click.echo(installed("garrison"))
    except PackageNotFoundError:
        click.echo("0.1.0 (from source)")


main.add_command(run)
main.add_command(connect)
main.add_command(sandbox)
for each in (chain, hostile, seen, swap_file):
    sandbox.add_command(each)
main.add_command(sdl)
main.add_command(convert)
main.add_command(adopt)
for each in (connectivity, shell, logs, events, account, providers):
    main.add_command(each)


def start() -> None:
    """Be ``garrison``: no core dump shows the keys and tokens that its commands hold."""
    forbid_core_dumps()
    main()
