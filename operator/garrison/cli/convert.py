"""``garrison convert``: an existing SDL as InferenceWorkloads."""

from __future__ import annotations

import click

from garrison.adapters.akash.conversion import convert_text
from garrison.cli.documents import read_sdl


@click.command()
@click.argument("file")
def convert(file: str) -> None:
    """Print an SDL as InferenceWorkload (and ProviderPolicy) YAML.

    FILE is the SDL; - reads standard input. What has no counterpart is said in comments, as is what
    you must fill in: nothing is dropped silently. Values that look like credentials are left out.

    \b
    garrison convert deploy.yaml > chat.yaml     then read its comments
    kubectl apply -n prod -f chat.yaml
    """
    click.echo(convert_text(read_sdl(file)), nl=False)
