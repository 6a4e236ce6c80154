"""A deployment that was started by hand on the market becomes a workload: same container, no restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from tests.e2e.bodies import HEALTH
from tests.e2e.moving_in import SDL, asked, garrison, of, running
from tests.e2e.scene import Scene
from tests.e2e.waiting import eventually


async def console(scene: Scene, method: str, path: str, body: Any = None) -> Any:
    """Call the Console API as its user does."""
    market = scene.stage.market
    headers = {"x-api-key": market.api_key}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, market.console_url + path, json=body, ssl=False) as answer,
    ):
        assert answer.status < 300, await answer.text()
        return (await answer.json())["data"]


async def start_by_hand(scene: Scene, sdl: str) -> str:
    """Deploy an SDL with the first provider that bids; returns the dseq once its container runs."""
    body = {"data": {"sdl": sdl, "deposit": 5}}
    made = await console(scene, "POST", "/v1/deployments", body)
    dseq = str(made["dseq"])
    bids = await eventually("a bid", lambda: console(scene, "GET", f"/v1/bids?dseq={dseq}"))
    key = bids[0]["bid"]["id"]
    lease = {each: key[each] for each in ("dseq", "gseq", "oseq", "provider")}
    await console(scene, "POST", "/v1/leases", {"manifest": made["manifest"], "leases": [lease]})
    await running(scene, dseq)
    return dseq


@pytest.fixture
def sdl_file(scene: Scene, tmp_path: Path) -> Path:
    """An SDL with a raw port, of an image by digest; beside it another one."""
    text = SDL.format(image=scene.stage.images["synthetic"], external=9000)
    (tmp_path / "deploy.yaml").write_text(text)
    (tmp_path / "other.yaml").write_text(text.replace("0.5", "1"))
    return tmp_path / "deploy.yaml"


async def test_adopted_served_by_the_same_container_and_closed(
    scene: Scene, sdl_file: Path
) -> None:
    await scene.stage.apply(scene.stage.account(adoption="Allow"))
    dseq = await start_by_hand(scene, await asyncio.to_thread(sdl_file.read_text))
    before = await of(scene, dseq)
    refused = await garrison(scene, "adopt", dseq, "--sdl", str(sdl_file))
    assert (refused.status, "--unverified" in refused.err) == (2, True)
    other = sdl_file.with_name("other.yaml")
    refused = await garrison(scene, "adopt", dseq, "--unverified", "--sdl", str(other))
    assert (refused.status, "the SDL is not the one of deployment" in refused.err) == (1, True)
    done = await garrison(
        scene, "adopt", dseq, "--unverified", "--sdl", str(sdl_file), "--name", "chat"
    )
    assert done.status == 0, done.err
    await scene.wait_ready("chat")
    again = await garrison(scene, "adopt", dseq, "--unverified", "--sdl", str(sdl_file))
    assert (again.status, "adopts deployment" in again.err) == (1, True)
    (lease,) = await scene.leases()
    assert lease["status"]["deployment"] == lease["status"]["deployment"] | {"id": dseq}
    assert lease["status"]["service"] == "web"
    assert await asked(scene, "chat") == 200
    after = await of(scene, dseq)
    assert (after.state, after.workloads) == ("active", before.workloads), (
        "same container, same ports"
    )
    told = await scene.kubectl("describe", "iw", "chat")
    assert "unencrypted, unauthenticated" in told
    logs = await garrison(scene, "logs", "iw/chat")
    assert logs.status == 0, logs.err
    quick = '{"spec": {"traffic": {"drainSeconds": 1}}}'
    await scene.kubectl("patch", "iw", "chat", "--type=merge", f"--patch={quick}")
    await scene.kubectl("delete", "iw", "chat", "--timeout=60s")
    assert (await of(scene, dseq)).state == "closed"


async def test_what_is_behind_an_ingress_is_adopted_without_its_sdl(scene: Scene) -> None:
    await scene.stage.apply(scene.stage.account(adoption="Allow"))
    sdl = SDL.format(image=scene.stage.images["synthetic"], external=80)
    dseq = await start_by_hand(scene, sdl)
    dry = await garrison(scene, "adopt", dseq, "--dry-run")
    assert dry.status == 0, dry.err
    body = yaml.safe_load(dry.out)
    assert body["spec"]["adopt"] == {"deployment": dseq, "externalPort": 80}
    assert body["spec"]["trust"] == "Unverified"
    assert body["spec"]["health"] == {"path": "/health"}
    body["metadata"]["namespace"] = scene.namespace
    body["spec"] |= {"health": HEALTH, "traffic": {"drainSeconds": 1}}
    await scene.stage.apply(body)
    await scene.wait_ready("web")
    assert (await scene.condition("web", "Routed"))["reason"] == "BehindIngress"
    assert await asked(scene, "web") == 200
    assert (await of(scene, dseq)).workloads[0].restarts == 0
