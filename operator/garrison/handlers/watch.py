"""Runs kopf as the source of watch events until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import kopf

from garrison.api.meta import Kind
from garrison.handlers.events import Deliver, register
from garrison.handlers.settings import event_source


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How the API server is reached; PEM text, empty where not used."""

    server: str
    authority: str = ""
    token: str = field(default="", repr=False)
    certificate: str = ""
    key: str = field(default="", repr=False)
    insecure: bool = False


async def watch(
    kinds: Iterable[Kind],
    deliver: Deliver,
    login: Callable[[], Awaitable[Login]],
    stop: asyncio.Event,
    begun: asyncio.Event,
) -> None:
    """Deliver events until ``stop`` is set. Raises what kopf cannot recover from.

    ``begun`` is set once kopf has taken SIGTERM and SIGINT for itself: who wants them takes them back
    then, because kopf would cancel every task of this process that is younger than itself.
    ``login`` is asked again whenever the API server refuses the credentials.
    """
    registry = kopf.OperatorRegistry()
    register(registry, kinds, deliver)

    async def connection(**_: object) -> kopf.ConnectionInfo:
        return _connection(await login())

    kopf.on.login(registry=registry)(connection)
    await kopf.operator(
        registry=registry,
        settings=event_source(),
        clusterwide=True,
        standalone=True,
        stop_flag=stop,
        ready_flag=begun,
    )


def _connection(login: Login) -> kopf.ConnectionInfo:
    return kopf.ConnectionInfo(
        server=login.server,
        ca_data=login.authority or None,
        insecure=login.insecure or None,
        token=login.token or None,
        scheme="Bearer" if login.token else None,
        certificate_data=login.certificate or None,
        private_key_data=login.key or None,
    )
