"""From apply to an answer, as a person sees it; scale, update, delete."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from openai import AsyncOpenAI

from devenv.checkout import ROOT
from devenv.processes import Process
from garrison.cli.connect import DRAIN_SECONDS
from tests.e2e.bodies import environment
from tests.e2e.scene import Scene
from tests.e2e.waiting import eventually

PROMPT = "Say something."
TOKENS = 20


@asynccontextmanager
async def connected(scene: Scene, name: str) -> AsyncIterator[str]:
    """Run ``garrison connect`` and yield its address."""
    argv = [sys.executable, "-m", "garrison.cli", "connect", f"iw/{name}", "-p", "0"]
    argv += ["-n", scene.namespace, "--kubeconfig", str(scene.stage.kubeconfig)]
    process = await Process.start(
        "connect",
        argv,
        log=scene.stage.folder / f"connect-{scene.namespace}.log",
        env={"PYTHONPATH": str(ROOT / "operator")},
    )
    try:
        (url,) = await process.ready(limit_seconds=30)
        yield url
    finally:
        assert await process.stop(grace_seconds=DRAIN_SECONDS + 10) == 0


async def test_apply_becomes_ready_and_answers(scene: Scene) -> None:
    await scene.serve("chat", benchmark={"api": "OpenAI"})
    table = await scene.kubectl("get", "iw")
    header, row = (line.split() for line in table.splitlines())
    assert header[:3] == ["NAME", "READY", "PRICE/H"], table
    assert row[1] == "1/1", table
    assert "Serving" in row, table
    async with (
        connected(scene, "chat") as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="none", timeout=20) as client,
    ):
        stream = await client.chat.completions.create(
            model="synthetic",
            messages=[{"role": "user", "content": PROMPT}],
            max_tokens=8,
            stream=True,
        )
        chunks = [chunk async for chunk in stream]
    assert any(each.choices and each.choices[0].delta.content for each in chunks)
    (lease,) = await scene.leases()
    assert float(lease["status"]["benchmark"]["tokensPerSecond"]) > 0
    told = await scene.kubectl("describe", "iw", "chat")
    assert "unencrypted, unauthenticated" in told
    assert "UnroutableAddress" in told
    assert "RevisionAccepted" in told


async def test_scale_up_and_down(scene: Scene) -> None:
    await scene.serve("chat")
    await scene.kubectl("scale", "iw/chat", "--replicas=3")
    await eventually(
        "three replicas",
        lambda: scene.workload("chat"),
        lambda body: body["status"]["ready"] == "3/3",
    )
    providers = {each["status"]["provider"] for each in await scene.leases()}
    assert len(providers) == 3, "spread over providers"
    await scene.kubectl("scale", "iw/chat", "--replicas=1")
    await eventually("one paid lease", scene.paid, lambda found: len(found) == 1)
    await scene.wait_ready("chat")


async def streamed(client: AsyncOpenAI) -> int:
    """Return how many pieces of text a streamed answer has. Raises what breaks it."""
    stream = await client.chat.completions.create(
        model="synthetic",
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=TOKENS,
        stream=True,
    )
    return len([each async for each in stream if each.choices and each.choices[0].delta.content])


async def test_rolling_update_without_an_error(scene: Scene) -> None:
    slow = {
        "SYNTHETIC_TOKENS_PER_SECOND": "50"
    }  # so that answers are under way when replicas leave
    rolling = {"replicas": 2, "traffic": {"drainSeconds": 4}}
    await scene.serve("chat", env=environment(**slow), **rolling)
    before = {each["metadata"]["name"] for each in await scene.leases()}
    answers: list[int] = []
    streams: list[int] = []
    async with (
        connected(scene, "chat") as url,
        aiohttp.ClientSession() as session,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="none", timeout=60, max_retries=0) as client,
    ):

        async def keep_asking() -> None:
            while True:
                async with session.get(f"{url}/v1/models") as answer:
                    answers.append(answer.status)
                    await answer.read()
                await asyncio.sleep(0.02)

        async def keep_streaming() -> None:
            while True:
                streams.append(await streamed(client))

        asking = [asyncio.create_task(each()) for each in (keep_asking, keep_streaming)]
        try:
            await scene.apply_workload(
                "chat", env=environment(**slow, SYNTHETIC_TTFT_MS="6"), **rolling
            )
            await eventually(
                "both replaced",
                scene.leases,
                lambda found: (
                    len(found) == 2
                    and before.isdisjoint(each["metadata"]["name"] for each in found)
                    and all(each["status"]["phase"] == "Ready" for each in found)
                ),
            )
            assert [each.exception() for each in asking if each.done()] == []
        finally:
            for each in asking:
                each.cancel()
    assert len(answers) > 50
    assert set(answers) == {200}
    assert len(streams) > 5
    assert set(streams) == {TOKENS}


async def test_edits_in_place_need_no_new_lease(scene: Scene) -> None:
    await scene.serve("chat")
    before = [each["metadata"]["uid"] for each in await scene.leases()]
    await scene.apply_workload("chat", budget={"maxPricePerHour": "3"}, spread="None")
    await scene.until("chat", "Ready")
    assert [each["metadata"]["uid"] for each in await scene.leases()] == before


async def test_delete_closes_on_the_market_first(scene: Scene) -> None:
    await scene.serve("chat")
    assert len(await scene.paid()) == 1
    await scene.kubectl("delete", "iw", "chat", "--timeout=60s")
    assert await scene.paid() == []
    assert await scene.leases() == []


async def test_namespace_deleted_while_the_operator_is_down(scene: Scene) -> None:
    await scene.serve("chat")
    await scene.stage.processes["operator"].kill()
    await scene.stage.kubectl("delete", "ns", scene.namespace, "--wait=false")
    await asyncio.sleep(1.0)
    assert len(await scene.paid()) == 1
    await scene.stage.start_operator()
    await scene.nothing_paid()
    await scene.namespace_gone()


async def test_namespace_deleted_while_serving(scene: Scene) -> None:
    await scene.serve("chat", replicas=2)
    assert len(await scene.paid()) == 2
    await scene.stage.kubectl("delete", "ns", scene.namespace, "--timeout=60s", limit_seconds=70)
    assert await scene.paid() == []
