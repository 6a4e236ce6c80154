"""Which cluster and namespace a command is about, and the options that say so."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import click

from garrison.app import explain
from garrison.errors import GarrisonError

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """``operator_namespace`` is where the credentials of accounts are."""

    namespace: str = "default"
    kubeconfig: str | None = None
    context: str | None = None
    operator_namespace: str = "garrison-system"
    allow_private: bool = False


_OPTIONS = (
    click.option("-n", "--namespace", default="default", show_default=True),
    click.option("--kubeconfig", envvar="KUBECONFIG", default=None),
    click.option("--context", default=None),
    click.option(
        "--operator-namespace",
        envvar="GARRISON_NAMESPACE",
        default="garrison-system",
        show_default=True,
        help="Where the Secrets of AkashAccounts are.",
    ),
    click.option(
        "--allow-private",
        is_flag=True,
        help="Dial private and loopback addresses. Default: what the AkashAccount allows, "
        "if you may read it.",
    ),
)


def placed(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command the options, as one argument ``place``."""

    @functools.wraps(command)
    def wrapper(
        *,
        namespace: str,
        kubeconfig: str | None,
        context: str | None,
        operator_namespace: str,
        allow_private: bool,
        **rest: object,
    ) -> T:
        place = Place(
            namespace=namespace,
            kubeconfig=kubeconfig,
            context=context,
            operator_namespace=operator_namespace,
            allow_private=allow_private,
        )
        return command(place=place, **rest)

    for option in reversed(_OPTIONS):
        wrapper = option(wrapper)
    return wrapper


def completed(work: Awaitable[T]) -> T:
    """Run to the end. An error of the tree, or Ctrl-C, ends the program as people expect."""

    async def main() -> T:
        return await work

    try:
        return asyncio.run(main())
    except GarrisonError as error:
        raise click.ClickException(explain(error)) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
