"""``garrison sdl``: compile what Akash users write; show what Garrison writes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from garrison.adapters.akash.orders import compiled, sdl_text
from garrison.adapters.akash.sdl import compile_sdl
from garrison.adapters.sentinel.bootstrap import injection_of
from garrison.adapters.sentinel.bundle import bundle
from garrison.api.workload import WorkloadSpec, template_of
from garrison.app import explain
from garrison.cli.documents import read_sdl
from garrison.cli.resources import Resources, from_cluster, from_file
from garrison.cli.target import TargetType
from garrison.core.order import model_count, order_of, price_ceiling, sentinel_ports
from garrison.errors import GarrisonError
from garrison.ports.market import Order
from garrison.ports.sentinel import Injection

MARKER = f"garrison-{'0' * 8}-{'0' * 32}-0"
"""Stands for the group's name, which holds the installation and the lease."""
ARCHIVE, BOOTSTRAP = "the-sentinel", "made-for-each-lease"
"""Stand for eighty kilobytes that are the same everywhere, and for a key that nobody else may see."""
_HEADER = """\
# What is sent to the market for one replica of {name}. The group's name, garrison-0..., differs
# from lease to lease{more}.
"""
_SENTINEL = f"""\
# trust: Verified, so the sentinel starts first, and the workload's own command and variables reach
# it later, sealed. {ARCHIVE!r} and {BOOTSTRAP!r} stand for what is too long to show,
# and for each lease's own key: the manifest that is sent has another hash than this one.
"""
_LOGIN = """\
# The login from imagePullSecrets is sent, too, as `credentials`: it is not shown.
"""


@click.group()
def sdl() -> None:
    """The stack definition language of Akash.

    \b
    garrison sdl compile deploy.yaml     groups, manifest and version, as the chain takes them
    garrison sdl render iw/chat -n prod  what Garrison sends for a workload
    """


@sdl.command("compile")
@click.argument("file")
def compile_file(file: str) -> None:
    """Print what an SDL of version 2.0 or 2.1 becomes, as one JSON object.

    FILE is the SDL; - reads standard input. The object has groups (for the chain), manifest (for
    the provider) and version (the manifest's hash, in hex), equal to what the reference library
    makes. A document that asks for reclamation notice has reclamation too. What is wrong with FILE
    goes to standard error, all at once, each with line and field; then the exit status is 1.
    """
    found = compile_sdl(read_sdl(file))
    document: dict[str, Any] = {
        "groups": found.groups,
        "manifest": found.manifest,
        "version": found.version,
    }
    if found.reclamation is not None:
        seconds, rest = divmod(found.reclamation, 10**9)
        document["reclamation"] = {"min_window": f"{seconds}{f'.{rest:09d}' if rest else ''}s"}
    click.echo(json.dumps(document, separators=(",", ":")))


@sdl.command("render")
@click.argument("workload", type=TargetType())
@click.option("-n", "--namespace", default="default", show_default=True)
@click.option(
    "-f",
    "--file",
    default=None,
    help="Read the resources from a file (-: standard input) instead of the cluster.",
)
@click.option("--manifest", is_flag=True, help="Print the manifest, as canonical JSON.")
@click.option("--kubeconfig", envvar="KUBECONFIG", default=None)
@click.option("--context", default=None)
def render(
    *,
    workload: str,
    namespace: str,
    file: str | None,
    manifest: bool,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Print the SDL that is sent for one replica of WORKLOAD.

    \b
    garrison sdl render iw/chat -n prod
    garrison sdl render iw/chat -n prod -f resources.yaml

    Keys and logins are not shown; a comment says which are sent. Offline, FILE holds the InferenceWorkload, its ProviderPolicy if it names one, and the
    AkashAccount that pays, from which the price comes.
    """
    try:
        found = (
            from_file(file, namespace, workload)
            if file is not None
            else asyncio.run(from_cluster(kubeconfig, context, namespace, workload))
        )
        order = _order(found)
        if manifest:
            click.echo(compiled(order).manifest_text)
        else:
            click.echo(_header(found) + sdl_text(order), nl=False)
    except GarrisonError as error:
        raise click.ClickException(explain(error)) from error


def _order(found: Resources) -> Order:
    """Return what the first attempt of a lease orders."""
    spec = found.workload.spec
    policy = found.policy.spec if found.policy is not None else None
    return order_of(
        template=template_of(spec),
        policy=policy,
        model_index=0,
        marker=MARKER,
        max_price_per_hour=price_ceiling(spec.budget, policy, found.account),
        deposit_hours=found.account.spec.treasury.deposit_hours,
        injection=_injection(spec),
    )


def _injection(spec: WorkloadSpec) -> Injection | None:
    """Return what starts the sentinel, with words where something is long or secret."""
    if spec.trust == "Unverified":
        return None
    return injection_of(bundle(), [ARCHIVE], BOOTSTRAP, sentinel_ports(spec.port))


def _header(found: Resources) -> str:
    spec = found.workload.spec
    many = model_count(spec.resources.gpu) > 1
    more = "; so may the GPU model, if nobody bids for this one" if many else ""
    header = _HEADER.format(name=found.workload.meta.name, more=more)
    header += _SENTINEL if spec.trust == "Verified" else ""
    return header + (_LOGIN if spec.image_pull_secrets else "")
