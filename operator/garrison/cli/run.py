"""``garrison run``: the operator."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import NoReturn

import click

from garrison import app
from garrison.controllers.assembly import Pace
from garrison.core.lifecycle import Timing
from garrison.errors import GarrisonError
from garrison.runtime.engine import WORKERS
from garrison.settings import Settings
from garrison.telemetry.logs import configure


@click.command()
@click.option(
    "--namespace",
    envvar="GARRISON_NAMESPACE",
    default="garrison-system",
    show_default=True,
    help="Where the Secrets of AkashAccounts are; in a pod, the release's namespace.",
)
@click.option(
    "--installation",
    envvar="GARRISON_INSTALLATION",
    default="",
    help="8 hexadecimal digits that mark this installation's deployments on the market. "
    "Default: derived from the namespace's uid. Keep it when you move to another cluster.",
)
@click.option(
    "--kubeconfig",
    envvar="KUBECONFIG",
    default=None,
    help="Default: in-cluster, else ~/.kube/config.",
)
@click.option("--context", default=None, help="Context in the kubeconfig.")
@click.option(
    "--host",
    envvar="GARRISON_BIND",
    default="127.0.0.1",
    show_default=True,
    help="Address of health and metrics.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="0: any free one.",
)
@click.option(
    "--insecure-registry",
    "insecure_registries",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Registry spoken to in plain HTTP, for tests. May be repeated.",
)
@click.option(
    "--webhook-host",
    "webhook_hosts",
    multiple=True,
    metavar="HOST",
    help="Host that RotatingSecrets may name as a webhook. May be repeated. Default: none.",
)
@click.option(
    "--webhook-private-addresses",
    is_flag=True,
    help="Webhooks may be at private addresses, such as inside the cluster.",
)
@click.option(
    "--pull-token-host",
    "pull_token_hosts",
    multiple=True,
    metavar="HOST",
    help="Host, beside Google's own, at which a service account's key in imagePullSecrets may be "
    "exchanged for an access token (its token_uri). May be repeated.",
)
@click.option(
    "--mining-pools",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="More mining pools to name when a replica asks for them: a host name, address or CIDR a line.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=WORKERS,
    show_default=True,
    help="Passes at a time.",
)
@click.option(
    "--survey-seconds",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    help="How often an account's market is listed: balance, providers, orphans.",
)
@click.option(
    "--bid-seconds",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    help="How long an order waits for an acceptable bid before the next GPU model is tried.",
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.option("-v", "--verbose", is_flag=True, help="Log every action.")
def run(
    *,
    namespace: str,
    installation: str,
    kubeconfig: str | None,
    context: str | None,
    host: str,
    port: int,
    insecure_registries: tuple[str, ...],
    webhook_hosts: tuple[str, ...],
    webhook_private_addresses: bool,
    pull_token_hosts: tuple[str, ...],
    mining_pools: Path | None,
    workers: int,
    survey_seconds: float,
    bid_seconds: float,
    log_format: str,
    verbose: bool,
) -> None:
    """Run the operator until SIGTERM.

    Needs the CustomResourceDefinitions of the Helm chart and the rights of its ClusterRole. Two
    operators at once do no harm, but one is enough.
    """
    configure("json" if log_format == "json" else "text", verbose=verbose)
    settings = Settings(
        namespace=namespace,
        installation=installation,
        kubeconfig=kubeconfig,
        context=context,
        host=host,
        port=port,
        insecure_registries=insecure_registries,
        webhook_hosts=webhook_hosts,
        webhook_private_addresses=webhook_private_addresses,
        pull_token_hosts=pull_token_hosts,
        mining_pools=mining_pools,
        pace=Pace(workers=workers, survey=survey_seconds, timing=Timing(bid_timeout=bid_seconds)),
    )
    _serve(settings)


def _serve(settings: Settings) -> NoReturn:
    try:
        asyncio.run(app.run(settings, ready=lambda text: click.echo(f"ready {text}")))
    except GarrisonError as error:
        raise click.ClickException(app.explain(error)) from error
    sys.exit(0)
