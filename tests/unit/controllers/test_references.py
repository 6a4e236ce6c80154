"""What one namespace asks of images, and what another notices of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from garrison.adapters.memory.clock import LoopClock
from garrison.api.meta import WORKLOAD, Key
from garrison.controllers.references import FILES, LOGIN_RETRY, Reading, References, Wanted
from garrison.errors import AuthError
from garrison.ports.registry import Contents, Credentials, Image
from garrison.runtime.jobs import Jobs
from tests.builders import IMAGE

LOGIN = Credentials(username="ada", password="x")
MINUTE = timedelta(minutes=1)


class Registry:
    """Takes ``login`` only; ``images`` in ``slow`` are never read to their end."""

    def __init__(self) -> None:
        self.logins = {"prod": LOGIN}
        self.files = 3
        self.slow = ""
        self.reading: list[str] = []

    async def image(self, reference: str, credentials: Credentials | None) -> Image:
        raise NotImplementedError

    async def contents(
        self, reference: str, credentials: Credentials | None, patterns: Sequence[str]
    ) -> Contents:
        self.reading.append(reference)
        if self.slow and reference.startswith(self.slow):
            await asyncio.sleep(3600)
        if credentials != LOGIN:
            raise AuthError(f"{reference}: the registry asks for a login")
        files = {f"/{number}": "" for number in range(self.files)}
        return Contents(digest="", files=files, python=True)

    async def credentials(
        self, namespace: str, names: Sequence[str], reference: str
    ) -> Credentials | None:
        return self.logins.get(namespace)


class Desk:
    """Asks as the passes of one workload per image do."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.references = References(
            jobs=Jobs(lambda _: None),
            registry=self.registry,
            secrets=self.registry,
            clock=LoopClock(),
        )

    async def asked(self, namespace: str, image: str = IMAGE, *, wait: float = 1.0) -> Reading:
        key = Key(kind=WORKLOAD.kind, namespace=namespace, name="chat")
        wanted = Wanted(namespace=namespace, image=image)
        self.references.reading(key, wanted)
        await asyncio.sleep(wait)
        return self.references.reading(key, wanted)


async def test_a_login_that_one_namespace_lacks_leaves_another_its_own() -> None:
    desk = Desk()
    refused = await desk.asked("evil")
    assert (refused.hopeless, refused.contents) == (True, None)
    assert (await desk.asked("prod")).contents is not None
    assert (await desk.asked("evil")).contents is None


async def test_a_login_that_is_corrected_is_noticed() -> None:
    desk = Desk()
    desk.registry.logins = {}
    assert (await desk.asked("prod")).hopeless
    desk.registry.logins = {"prod": LOGIN}
    assert (await desk.asked("prod")).hopeless
    await asyncio.sleep(LOGIN_RETRY.total_seconds())
    assert (await desk.asked("prod")).contents is not None


async def test_registries_that_never_end_hold_up_their_own_namespace_only() -> None:
    desk = Desk()
    desk.registry.slow = "evil.example/"
    for number in range(10):
        await desk.asked("evil", f"evil.example/{number}")
    assert len(desk.registry.reading) == 2
    assert (await desk.asked("prod")).contents is not None


async def test_who_remembers_most_forgets_first() -> None:
    desk = Desk()
    desk.registry.logins["evil"] = LOGIN
    mine = await desk.asked("prod")
    desk.registry.files = FILES // 3
    for number in range(4):
        await desk.asked("evil", f"evil.example/{number}")
    assert (await desk.asked("prod", wait=0.0)).contents is mine.contents
    assert desk.registry.reading.count(IMAGE) == 1
    await desk.asked("evil", "evil.example/0")
    assert desk.registry.reading.count("evil.example/0") == 2
