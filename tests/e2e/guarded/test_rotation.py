"""Secrets change under clients that stream: none is cut by a signal, and few by a restart."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.e2e.bodies import Body, environment
from tests.e2e.guarded.replicas import serve, the_lease
from tests.e2e.scene import Scene
from tests.e2e.test_serving import PROMPT, connected
from tests.e2e.waiting import eventually

CLIENTS = 3
TOKENS = 20
PATIENCE = aiohttp.ClientTimeout(total=60)
"""A stream that hangs is as broken as one that is cut."""
PACE = "40"
"""Tokens per second: a stream lasts half a second, so that each client is in one nearly always."""


def rotating(scene: Scene, name: str) -> Body:
    return {
        "apiVersion": "garrison.dev/v1alpha1",
        "kind": "RotatingSecret",
        "metadata": {"name": name, "namespace": scene.namespace},
        "spec": {
            "source": {"type": "Generate"},
            "rotation": {"everySeconds": 3600, "graceSeconds": 0},
        },
    }


def use(name: str, on_rotate: str) -> Body:
    return {"rotatingSecretRef": {"name": name}, "file": name, "onRotate": on_rotate}


class Streams:
    """Clients that ask for one stream after the other; ``ended`` counts how those ended."""

    def __init__(self) -> None:
        self.ended: Counter[str] = Counter()
        self.enough = False

    async def ask(self, url: str) -> None:
        """Stream until it is enough, and end what was begun."""
        async with aiohttp.ClientSession(url, timeout=PATIENCE) as session:
            while not self.enough:
                try:
                    self.ended[await _streamed(session)] += 1
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.ended[f"{type(error).__name__}: {error}"] += 1

    @property
    def broken(self) -> Counter[str]:
        """Those that did not end as they should."""
        return Counter({how: count for how, count in self.ended.items() if how != "whole"})


async def _streamed(session: aiohttp.ClientSession) -> str:
    """How one stream ended: whole, or what came instead."""
    ask = {"prompt": PROMPT, "max_tokens": TOKENS, "stream": True}
    async with session.post("/v1/completions", json=ask) as answer:
        text = await answer.text()
    events = [each for each in text.split("\n\n") if each.startswith("data: ")]
    is_whole = len(events) == TOKENS + 2 and events[-1] == "data: [DONE]"
    return "whole" if is_whole else f"{answer.status}: {text[-200:]}"


@asynccontextmanager
async def streaming(url: str) -> AsyncIterator[Streams]:
    """Clients that stream meanwhile; each ends one before and one after what happens in the block."""
    streams = Streams()
    tasks = [asyncio.create_task(streams.ask(url)) for _ in range(CLIENTS)]
    try:
        await whole(streams, CLIENTS)
        yield streams
        await whole(streams, streams.ended["whole"] + 2 * CLIENTS)
        streams.enough = True
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def whole(streams: Streams, wanted: int) -> None:
    async def ended() -> Counter[str]:
        return streams.ended

    await eventually(f"{wanted} whole streams", ended, lambda found: found["whole"] >= wanted)


async def read(url: str) -> Body:
    """Return what the process has read, and which process that is."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/secrets") as answer:
        body: Body = await answer.json()
        return body


async def rotated(scene: Scene, name: str) -> None:
    """Ask for a rotation, and wait until the new version is acknowledged and the old one revoked."""
    await scene.kubectl(
        "annotate", f"rsec/{name}", "garrison.dev/rotate-requested-at=now", "--overwrite"
    )
    await eventually(
        f"the first version of {name} revoked",
        lambda: scene.stage.get("rsec", name, "--namespace", scene.namespace),
        lambda body: body["status"].get("revoked") == 1,
    )
    taken = {
        each["name"]: each["version"] for each in (await the_lease(scene))["status"]["secrets"]
    }
    assert taken[name] == 2


async def test_a_signal_cuts_no_stream_and_a_restart_at_most_one_of_each_client(
    scene: Scene,
) -> None:
    await scene.stage.apply(rotating(scene, "soft"), rotating(scene, "hard"))
    before = await serve(
        scene,
        secrets=[use("soft", "Signal"), use("hard", "Restart")],
        env=environment(SYNTHETIC_TOKENS_PER_SECOND=PACE),
    )
    async with connected(scene, "chat") as url:
        first = await read(url)
        assert set(first["read"]) == {"soft", "hard"}
        async with streaming(url) as streams:
            await rotated(scene, "soft")
        signalled = await read(url)
        assert signalled["pid"] == first["pid"]
        assert signalled["read"]["soft"] != first["read"]["soft"]
        assert signalled["read"]["hard"] == first["read"]["hard"]
        assert not streams.broken
        async with streaming(url) as streams:
            await rotated(scene, "hard")
        restarted = await read(url)
        assert restarted["pid"] != first["pid"]
        assert restarted["read"]["hard"] != first["read"]["hard"]
        assert streams.broken.total() <= CLIENTS, streams.broken
    after = await the_lease(scene)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["sentinel"] == before["status"]["sentinel"]
