"""A real model under the guard: llama.cpp's own server, with all its threads and mappings."""

from __future__ import annotations

import aiohttp
import pytest

from devenv.image import MODEL, publish
from tests.e2e.guarded.replicas import PATIENT, the_lease
from tests.e2e.scene import Scene
from tests.e2e.test_serving import PROMPT, connected

LOADING_SECONDS = 300


@pytest.mark.long
@pytest.mark.timeout(2 * LOADING_SECONDS)
async def test_llama_cpp_serves_under_the_guard(scene: Scene) -> None:
    registry = scene.stage.images["synthetic"].partition("/")[0]
    await scene.apply_workload(
        "chat",
        image=await publish(MODEL, f"http://{registry}"),
        trust="Verified",
        resources={"cpu": "1", "memory": "1Gi", "storage": "1Gi"},
        health={**PATIENT, "startupGraceSeconds": LOADING_SECONDS},
    )
    await scene.kubectl(
        "wait",
        "--for=condition=Ready",
        "iw/chat",
        f"--timeout={LOADING_SECONDS}s",
        limit_seconds=LOADING_SECONDS + 10,
    )
    guard = (await the_lease(scene))["status"]["egress"]
    assert (guard["mode"], guard["level"]) == ("Enforce", "Enforced"), guard
    ask = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 8}
    async with (
        connected(scene, "chat") as url,
        aiohttp.ClientSession(url) as session,
        session.post("/v1/chat/completions", json=ask) as answer,
    ):
        assert answer.status == 200, await answer.text()
        found = await answer.json()
    assert found["choices"][0]["message"]["content"]
    assert 0 < found["usage"]["completion_tokens"] <= 8
